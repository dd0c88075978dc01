//! Policy files with wrong rules, where they are wrong, and what is said about it.

use super::Wrong;

pub(super) const RULES: &[Wrong] = &[
    ("[[rule]\n", (1, 8), "not valid TOML"),
    (
        "rules = []\n",
        (1, 1),
        "unknown key \"rules\"; did you mean \"rule\"",
    ),
    (
        "[rule]\naction = \"allow\"\n",
        (1, 1),
        "[rule] is a single table",
    ),
    (
        "rule = [1]\n",
        (1, 9),
        "expected a table, [[rule]], found integer",
    ),
    ("rule = 1\n", (1, 8), "expected a list of tables"),
    ("[[rule]]\n", (1, 1), "the rule has no action"),
    (
        "[[rule]]\naction = \"allow\"\nport = 22\nuntil = \"noon\"\n",
        (4, 9),
        "\"noon\" is not a time with its zone",
    ),
    (
        "[[rule]]\naction = \"allow\"\nport = 22\nuntil = 2026-12-01\n",
        (4, 9),
        "\"2026-12-01\" is not a time with its zone",
    ),
    (
        "[[rule]]\naction = \"allow\"\nport = 22\nuntil = 1800000000\n",
        (4, 9),
        "expected a time such as \"2026-12-01T12:00:00Z\", found integer",
    ),
    (
        "[[rule]]\naction = \"allow\"\nport = 22\nexpires = \"1h\"\n",
        (4, 1),
        "unknown key \"expires\"; did you mean \"until\"",
    ),
    ("[[rule]]\nport = 22\n", (1, 1), "the rule has no action"),
    (
        "[[rule]]\naction = \"alow\"\n",
        (2, 10),
        "action \"alow\" is unknown; did you mean \"allow\"",
    ),
    (
        "[[rule]]\naction = \"reject\"\n",
        (2, 10),
        "action \"reject\" is refused",
    ),
    (
        "[[rule]]\naction = \"limit\"\n",
        (1, 1),
        "a limit counts new connections, and this rule is about all traffic",
    ),
    (
        "[[rule]]\naction = \"limit\"\nproto = \"ping\"\n",
        (3, 9),
        "ICMP has none",
    ),
    (
        "[[rule]]\naction = \"limit\"\nproto = 47\n",
        (3, 9),
        "other protocols have none",
    ),
    (
        "[[rule]]\naction = \"limit\"\nport = 22\nrate = \"0/s\"\n",
        (4, 8),
        "rate \"0/s\" lets nobody in",
    ),
    (
        "[[rule]]\naction = \"limit\"\nport = 22\nrate = \"20\"\n",
        (4, 8),
        "rate \"20\" has no time",
    ),
    (
        "[[rule]]\naction = \"limit\"\nport = 22\nrate = 20\n",
        (4, 8),
        "expected connections per time such as \"20/s\", found integer",
    ),
    (
        "[[rule]]\naction = \"limit\"\nport = 22\nrate = \"9999/s\"\n",
        (4, 8),
        "is faster than 5000/s",
    ),
    (
        "[[rule]]\naction = \"limit\"\nport = 22\nrate = \"1/2h\"\n",
        (4, 8),
        "is slower than 1/h",
    ),
    (
        "[[rule]]\naction = \"limit\"\nport = 22\nburst = 0\n",
        (4, 9),
        "burst \"0\" lets nobody in",
    ),
    (
        "[[rule]]\naction = \"limit\"\nport = 22\nburst = \"6\"\n",
        (4, 9),
        "expected a number of connections such as 10, found string",
    ),
    (
        "[[rule]]\naction = \"limit\"\nport = 22\nrate = \"1/h\"\nburst = 25\n",
        (5, 1),
        "takes 25 hours to recover",
    ),
    (
        "[[rule]]\naction = \"limit\"\nport = 22\nrate = \"6/30s\"\npackets = \"9/s\"\n",
        (5, 1),
        "a rule has one limit",
    ),
    (
        "[[rule]]\naction = \"allow\"\nproto = \"icmp\"\nicmp-type = \"redirect\"\n",
        (4, 13),
        "redirects are dropped always",
    ),
    (
        "[[rule]]\naction = \"allow\"\nproto = \"icmp\"\nicmp-type = 256\n",
        (4, 13),
        "ICMP type 256 is out of range",
    ),
    (
        "[[rule]]\naction = \"allow\"\nproto = \"tcp\"\nicmp-type = 8\n",
        (4, 13),
        "needs a protocol that has types",
    ),
    (
        "[[rule]]\naction = \"allow\"\nproto = \"icmp\"\nicmp-type = [8]\n",
        (4, 13),
        "a type of ICMP such as",
    ),
    (
        "[[rule]]\naction = \"limit\"\npackets = \"9/s\"\n",
        (1, 1),
        "a limit of packets is about ports or types of ICMP",
    ),
    (
        "[[rule]]\naction = \"allow\"\nport = 22\npackets = \"9/s\"\n",
        (4, 1),
        "rate, packets, burst, block and on-excess belong to a rule with action \"limit\"",
    ),
    (
        "[[rule]]\naction = \"limit\"\nport = 53\nproto = \"udp\"\npackets = \"9/s\"\nblock = \"60s\"\n",
        (6, 1),
        "only who holds a TCP session may be blocked",
    ),
    (
        "[[rule]]\naction = \"limit\"\nport = 53\nproto = \"tcp\"\npackets = \"9/s\"\nblock = 60\n",
        (6, 9),
        "a length of time such as \"60s\"",
    ),
    (
        "[[rule]]\naction = \"allow\"\nport = 22\nblock = \"60s\"\n",
        (4, 1),
        "rate, packets, burst, block and on-excess belong to a rule with action \"limit\"",
    ),
    (
        "[[rule]]\naction = \"allow\"\nport = 22\non-excess = \"ban 60s\"\n",
        (4, 1),
        "rate, packets, burst, block and on-excess belong to a rule with action \"limit\"",
    ),
    (
        "[[rule]]\naction = \"limit\"\nport = 53\nproto = \"udp\"\npackets = \"2000/s\"\non-excess = \"ban 60s\"\n",
        (6, 1),
        "only who holds a TCP session may be banned",
    ),
    (
        "[[rule]]\naction = \"limit\"\nport = 53\npackets = \"2000/s\"\non-excess = \"ban 60s\"\n",
        (5, 1),
        "only who holds a TCP session may be banned",
    ),
    (
        "[[rule]]\naction = \"limit\"\nport = 53\nproto = \"tcp\"\nrate = \"2000/s\"\non-excess = \"ban 60s\"\n",
        (6, 1),
        "only who holds a TCP session may be banned",
    ),
    (
        "[[rule]]\naction = \"limit\"\nproto = \"ping\"\npackets = \"2000/s\"\non-excess = \"ban 60s\"\n",
        (5, 1),
        "only who holds a TCP session may be banned",
    ),
    (
        "[[rule]]\naction = \"limit\"\nport = 53\nproto = \"tcp\"\npackets = \"999/s\"\non-excess = \"ban 60s\"\n",
        (6, 1),
        "is slower than 1000/s",
    ),
    (
        "[[rule]]\naction = \"limit\"\nport = 53\nproto = \"tcp\"\npackets = \"2000/s\"\non-excess = \"drop\"\n",
        (6, 13),
        "is nothing that guard can do",
    ),
    (
        "[[rule]]\naction = \"limit\"\nport = 53\nproto = \"tcp\"\npackets = \"2000/s\"\non-excess = \"ban 0s\"\n",
        (6, 13),
        "is shorter than a second",
    ),
    (
        "[[rule]]\naction = \"limit\"\nport = 53\nproto = \"tcp\"\npackets = \"2000/s\"\non-excess = 60\n",
        (6, 13),
        "what to do such as",
    ),
    (
        "[[rule]]\naction = \"allow\"\nport = 22\nrate = \"6/30s\"\n",
        (4, 1),
        "rate, packets, burst, block and on-excess belong to a rule with action \"limit\"",
    ),
    (
        "[[rule]]\naction = \"deny\"\nport = 22\nburst = 6\n",
        (4, 1),
        "rate, packets, burst, block and on-excess belong to a rule with action \"limit\"",
    ),
    (
        "[[rule]]\naction = \"limit\"\nport = 22\n[[rule]]\naction = \"limit\"\nport = 22\nrate = \"1/s\"\n",
        (4, 1),
        "can never match",
    ),
    (
        "[[rule]]\naction = 1\n",
        (2, 10),
        "expected \"allow\", \"deny\" or \"limit\", found integer",
    ),
    (
        "[[rule]]\naction = \"allow\"\nport = 70000\n",
        (3, 8),
        "port 70000 is out of range (1-65535)",
    ),
    (
        "[[rule]]\naction = \"allow\"\nport = 0\n",
        (3, 8),
        "port 0 is out of range",
    ),
    (
        "[[rule]]\naction = \"allow\"\nport = -1\n",
        (3, 8),
        "port -1 is out of range",
    ),
    (
        "[[rule]]\naction = \"allow\"\nport = 22.5\n",
        (3, 8),
        "expected a port",
    ),
    (
        "[[rule]]\naction = \"allow\"\nport = []\n",
        (3, 8),
        "an empty list of ports",
    ),
    (
        "[[rule]]\naction = \"allow\"\nport = [80, \"htpp\"]\n",
        (3, 13),
        "unknown service \"htpp\"; did you mean \"http\"",
    ),
    (
        "[[rule]]\naction = \"allow\"\nport = \"90:80\"\n",
        (3, 8),
        "port range 90:80 ends before it begins",
    ),
    (
        "[[rule]]\naction = \"allow\"\nport = \"22/tcp\"\n",
        (3, 8),
        "\"22/tcp\" is not a port",
    ),
    (
        "[[rule]]\naction = \"allow\"\nport = [\"http\", 22]\n",
        (3, 8),
        "differ in protocol",
    ),
    (
        "[[rule]]\naction = \"allow\"\nproto = \"tpc\"\n",
        (3, 9),
        "unknown protocol \"tpc\"; did you mean \"tcp\"",
    ),
    (
        "[[rule]]\naction = \"allow\"\nproto = 256\n",
        (3, 9),
        "protocol 256 is out of range (0-255)",
    ),
    (
        "[[rule]]\naction = \"allow\"\nproto = [\"tcp\"]\n",
        (3, 9),
        "expected a protocol",
    ),
    (
        "[[rule]]\naction = \"allow\"\nport = 22\nproto = \"gre\"\n",
        (3, 8),
        "protocol gre is not matched by port",
    ),
    (
        "[[rule]]\naction = \"allow\"\nfrom = []\n",
        (3, 8),
        "an empty list of addresses matches nothing",
    ),
    (
        "[[rule]]\naction = \"allow\"\nfrom = [\"any\", \"1.1.1.1\"]\n",
        (3, 8),
        "\"any\" makes the rest",
    ),
    (
        "[[rule]]\naction = \"allow\"\nfrom = [\"1.1.1.1\", \"1.1.1\"]\n",
        (3, 20),
        "\"1.1.1\" is not an address",
    ),
    (
        "[[rule]]\naction = \"allow\"\nfrom = \"@ofice\"\n[sets]\noffice = []\n",
        (3, 8),
        "unknown set \"@ofice\"; did you mean \"@office\"",
    ),
    (
        "[[rule]]\naction = \"allow\"\nfrom = \"1.1.1.1\"\nto = \"::1\"\n",
        (1, 1),
        "source is IPv4, its destination IPv6",
    ),
    (
        "[[rule]]\naction = \"allow\"\nto = 5\n",
        (3, 6),
        "expected an address",
    ),
    (
        "[[rule]]\naction = \"allow\"\non = \"eth0:1\"\n",
        (3, 6),
        "is an alias",
    ),
    (
        "[[rule]]\naction = \"allow\"\ncomment = \"a\\nb\"\n",
        (3, 11),
        "has a control character",
    ),
    (
        "[[rule]]\naction = \"allow\"\nsource = \"1.1.1.1\"\n",
        (3, 1),
        "unknown key \"source\"; did you mean \"from\"",
    ),
    (
        "[[rule]]\naction = \"allow\"\nprto = \"tcp\"\n",
        (3, 1),
        "unknown key \"prto\"; did you mean",
    ),
    (
        "[[rule]]\naction = \"allow\"\nname = \"3\"\n",
        (3, 8),
        "rule name \"3\" is a number",
    ),
    (
        "[[rule]]\naction = \"allow\"\nname = \"Office SSH\"\n",
        (3, 8),
        "rule name \"Office SSH\" cannot be used",
    ),
    (
        "[[rule]]\naction = \"allow\"\nname = 3\n",
        (3, 8),
        "expected a name in quotes, found integer",
    ),
    (
        "[[rule]]\naction = \"allow\"\nport = 1\nname = \"a\"\n[[rule]]\naction = \"allow\"\nport = 2\nname = \"a\"\n",
        (8, 8),
        "another rule is called \"a\", at ",
    ),
    (
        "[[rule]]\naction = \"allow\"\ntags = [\"a\", \"a\"]\n",
        (3, 14),
        "tag \"a\" is given twice",
    ),
    (
        "[[rule]]\naction = \"allow\"\ntags = [1]\n",
        (3, 9),
        "expected a text in quotes, found integer",
    ),
    (
        "[[rule]]\naction = \"allow\"\ntag = \"a\"\n",
        (3, 1),
        "unknown key \"tag\"; did you mean \"tags\"",
    ),
    (
        "[[rule]]\naction = \"allow\"\nenabled = \"no\"\n",
        (3, 11),
        "expected true or false, without quotes, found string",
    ),
    (
        "[[rule]]\naction = \"allow\"\ndisabled = true\n",
        (3, 1),
        "unknown key \"disabled\"; did you mean \"enabled\"",
    ),
    (
        "[[rule]]\naction = \"allow\"\nlimit = \"6/m\"\n",
        (3, 1),
        "unknown key \"limit\"",
    ),
    (
        "[[rule]]\naction = \"allow\"\nproto = \"ping\"\nsport = 53\n",
        (4, 9),
        "ping",
    ),
    (
        "[[rule]]\naction = \"allow\"\nsport = 0\n",
        (3, 9),
        "port 0 is out of range",
    ),
    (
        "[[rule]]\naction = \"allow\"\nsource_port = 53\n",
        (3, 1),
        "unknown key \"source_port\"; did you mean \"sport\"",
    ),
    (
        "[[rule]]\naction = \"allow\"\nnever = []\n",
        (3, 1),
        "key \"never\" stands below [[rule]]",
    ),
    (
        "[[rule]]\naction = \"allow\"\nport = 22\n[[rule]]\naction = \"deny\"\nport = 22\nproto = \"tcp\"\ncomment = \"ssh\"\n",
        (4, 1),
        "rule 2 \"ssh\" can never match: rule 1 on line 1 covers it",
    ),
];
