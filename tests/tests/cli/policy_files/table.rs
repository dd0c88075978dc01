//! Wrong policy files.

/// A guard.toml, the line and column of a problem, and the beginning of what is said there.
pub(super) const WRONG: &[(&str, &str, &str)] = &[
    // No TOML.
    ("default", "1:8", "not valid TOML"),
    ("default = ", "1:11", "not valid TOML"),
    ("default = \"deny", "1:16", "not valid TOML"),
    ("default = deny\n", "1:11", "not valid TOML"),
    ("[[rule]\n", "1:8", "not valid TOML"),
    ("never = [\n", "1:10", "not valid TOML"),
    (
        "default = \"deny\"\ndefault = \"deny\"\n",
        "2:1",
        "not valid TOML: duplicate key",
    ),
    // Keys and values at the top.
    (
        "defualt = \"deny\"\n",
        "1:1",
        "unknown key \"defualt\"; did you mean \"default\"",
    ),
    (
        "policy = \"deny\"\n",
        "1:1",
        "unknown key \"policy\"; did you mean \"default\"",
    ),
    (
        "whitelist = []\n",
        "1:1",
        "unknown key \"whitelist\"; did you mean \"never\"",
    ),
    ("zzz = 1\n", "1:1", "unknown key \"zzz\""),
    ("port = 22\n", "1:1", "key \"port\" belongs to a rule"),
    (
        "default = \"drop\"\n",
        "1:11",
        "default \"drop\" is unknown; did you mean \"deny\"",
    ),
    (
        "default = true\n",
        "1:11",
        "expected \"deny\", \"allow\" or \"monitor\", found boolean",
    ),
    (
        "interfaces = 5\n",
        "1:14",
        "expected interface names, found integer",
    ),
    (
        "interfaces = [\"eth/0\"]\n",
        "1:15",
        "interface \"eth/0\" is not an interface name",
    ),
    (
        "never = \"example\"\n",
        "1:9",
        "\"example\" is not an address",
    ),
    ("never = [\"any\"]\n", "1:10", "never cannot hold \"any\""),
    (
        "never = [\"1.1.1.1/40\"]\n",
        "1:10",
        "prefix length 40 is out of range (0-32)",
    ),
    ("never = [\"@gone\"]\n", "1:10", "unknown set \"@gone\""),
    // Sets.
    (
        "sets = 1\n",
        "1:8",
        "expected a table, [sets], found integer",
    ),
    (
        "[sets]\n\"a b\" = []\n",
        "2:1",
        "set name \"a b\" cannot be used",
    ),
    ("[sets]\na = 1\n", "2:5", "expected prefixes"),
    (
        "[sets]\na = [\n \"1.1.1.256\"]\n",
        "3:2",
        "\"1.1.1.256\" is not an address",
    ),
    (
        "[sets]\na = [\"@b\"]\nb = []\n",
        "2:6",
        "a set cannot contain the set \"@b\"",
    ),
    (
        "[sets]\na = { fiel = \"x\" }\n",
        "2:5",
        "the set names no file",
    ),
    (
        "[sets]\na = { file = \"gone.txt\" }\n",
        "2:14",
        "set \"a\": ",
    ),
    (
        "[sets]\na = []\ndefault = \"deny\"\n",
        "3:1",
        "key \"default\" stands below [sets]",
    ),
    // Rules.
    (
        "[rule]\naction = \"allow\"\n",
        "1:1",
        "[rule] is a single table",
    ),
    ("rule = 1\n", "1:8", "expected a list of tables"),
    (
        "rule = [1]\n",
        "1:9",
        "expected a table, [[rule]], found integer",
    ),
    ("[[rule]]\nport = 22\n", "1:1", "the rule has no action"),
    (
        "[[rule]]\naction = \"alow\"\n",
        "2:10",
        "action \"alow\" is unknown; did you mean \"allow\"",
    ),
    (
        "[[rule]]\naction = \"reject\"\n",
        "2:10",
        "action \"reject\" is refused",
    ),
    (
        "[[rule]]\naction = \"limit\"\n",
        "1:1",
        "a limit counts new connections, and this rule is about all traffic",
    ),
    (
        "[[rule]]\naction = \"limit\"\nproto = \"ping\"\n",
        "3:9",
        "a limit counts new connections of TCP and UDP",
    ),
    (
        "[[rule]]\naction = \"limit\"\nproto = 47\n",
        "3:9",
        "a limit counts new connections of TCP and UDP",
    ),
    (
        "[[rule]]\naction = \"limit\"\nport = 22\nrate = \"0/s\"\n",
        "4:8",
        "rate \"0/s\" lets nobody in",
    ),
    (
        "[[rule]]\naction = \"limit\"\nport = 22\nrate = \"20\"\n",
        "4:8",
        "rate \"20\" has no time",
    ),
    (
        "[[rule]]\naction = \"limit\"\nport = 22\nrate = 20\n",
        "4:8",
        "expected connections per time such as \"20/s\", found integer",
    ),
    (
        "[[rule]]\naction = \"limit\"\nport = 22\nrate = \"9999/s\"\n",
        "4:8",
        "rate \"9999/s\" is faster than 5000/s",
    ),
    (
        "[[rule]]\naction = \"limit\"\nport = 22\nrate = \"1/2h\"\n",
        "4:8",
        "rate \"1/2h\" is slower than 1/h",
    ),
    (
        "[[rule]]\naction = \"limit\"\nport = 22\nburst = 0\n",
        "4:9",
        "burst \"0\" lets nobody in",
    ),
    (
        "[[rule]]\naction = \"limit\"\nport = 22\nburst = \"6\"\n",
        "4:9",
        "expected a number of connections such as 10, found string",
    ),
    (
        "[[rule]]\naction = \"limit\"\nport = 22\nrate = \"1/h\"\nburst = 25\n",
        "5:1",
        "a burst of 25 at rate 1/h takes 25 hours to recover",
    ),
    (
        "[[rule]]\naction = \"allow\"\nport = 22\nrate = \"6/30s\"\n",
        "4:1",
        "rate, packets, burst, block and on-excess belong to a rule with action \"limit\"",
    ),
    (
        "[[rule]]\naction = \"deny\"\nport = 22\nburst = 6\n",
        "4:1",
        "rate, packets, burst, block and on-excess belong to a rule with action \"limit\"",
    ),
    (
        "[limits]\nceiling = \"\"\n",
        "2:11",
        "rate \"\" has no time",
    ),
    (
        "[limits]\nceiling = \"1000\"\n",
        "2:11",
        "rate \"1000\" has no time",
    ),
    (
        "[limits]\nceiling = \"0/s\"\n",
        "2:11",
        "rate \"0/s\" lets nobody in",
    ),
    (
        "[limits]\nceiling = \"10/0s\"\n",
        "2:11",
        "rate \"10/0s\" has a time of 0",
    ),
    (
        "[limits]\nceiling = \"5001/s\"\n",
        "2:11",
        "rate \"5001/s\" is faster than 5000/s",
    ),
    (
        "[limits]\nceiling = \"1/2h\"\n",
        "2:11",
        "rate \"1/2h\" is slower than 1/h",
    ),
    (
        "[limits]\nceiling = \"10/day\"\n",
        "2:11",
        "rate \"10/day\" has no unit of time that guard knows",
    ),
    (
        "[limits]\nceiling = \"-5/s\"\n",
        "2:11",
        "rate \"-5/s\" is not a number per time",
    ),
    (
        "[limits]\nceiling = \"99999999999/s\"\n",
        "2:11",
        "rate \"99999999999/s\" has a number that is too large",
    ),
    (
        "[limits]\ncieling = \"1000/s\"\n",
        "2:1",
        "unknown key \"cieling\"; did you mean \"ceiling\"",
    ),
    (
        "[[limits]]\nceiling = \"off\"\n",
        "1:1",
        "expected a table, [limits], found array",
    ),
    (
        "ceiling = \"1000/s\"\n",
        "1:1",
        "key \"ceiling\" belongs to the limits",
    ),
    (
        "[limits]\nipv4-prefix = 33\n",
        "2:15",
        "ipv4-prefix 33 is out of range (16-32)",
    ),
    (
        "[limits]\nipv4-prefix = 0\n",
        "2:15",
        "ipv4-prefix 0 is out of range (16-32)",
    ),
    (
        "[limits]\nipv6-prefix = 16\n",
        "2:15",
        "ipv6-prefix 16 is out of range (32-128)",
    ),
    (
        "[limits]\nipv6-prefix = -64\n",
        "2:15",
        "ipv6-prefix -64 is out of range",
    ),
    (
        "[limits]\nipv6-prefix = \"64\"\n",
        "2:15",
        "expected a number of bits, found string",
    ),
    (
        "[limits]\nipv6_prefix = 64\n",
        "2:1",
        "unknown key \"ipv6_prefix\"; did you mean \"ipv6-prefix\"",
    ),
    (
        "[limits]\nrate = \"6/30s\"\n",
        "2:1",
        "unknown key \"rate\"",
    ),
    (
        "limits = 6\n",
        "1:10",
        "expected a table, [limits], found integer",
    ),
    (
        "ipv6-prefix = 64\n",
        "1:1",
        "key \"ipv6-prefix\" belongs to the limits",
    ),
    (
        "[[rule]]\naction = \"limit\"\nport = 22\n[[rule]]\naction = \"limit\"\nport = 22\nrate = \"1/s\"\n",
        "4:1",
        "rule 2 \"limit 22 rate 1/s\" can never match",
    ),
    (
        "[[rule]]\naction = 1\n",
        "2:10",
        "expected \"allow\", \"deny\" or \"limit\", found integer",
    ),
    (
        "[[rule]]\naction = \"allow\"\nport = 70000\n",
        "3:8",
        "port 70000 is out of range (1-65535)",
    ),
    (
        "[[rule]]\naction = \"allow\"\nport = 0\n",
        "3:8",
        "port 0 is out of range",
    ),
    (
        "[[rule]]\naction = \"allow\"\nport = -1\n",
        "3:8",
        "port -1 is out of range",
    ),
    (
        "[[rule]]\naction = \"allow\"\nport = 22.5\n",
        "3:8",
        "expected a port",
    ),
    (
        "[[rule]]\naction = \"allow\"\nport = []\n",
        "3:8",
        "an empty list of ports",
    ),
    (
        "[[rule]]\naction = \"allow\"\nport = \"90:80\"\n",
        "3:8",
        "port range 90:80 ends before it begins",
    ),
    (
        "[[rule]]\naction = \"allow\"\nport = \"22/tcp\"\n",
        "3:8",
        "\"22/tcp\" is not a port",
    ),
    (
        "[[rule]]\naction = \"allow\"\nport = [80, \"htpp\"]\n",
        "3:13",
        "unknown service \"htpp\"; did you mean \"http\"",
    ),
    (
        "[[rule]]\naction = \"allow\"\nport = [\"http\", 22]\n",
        "3:8",
        "these ports differ in protocol",
    ),
    (
        "[[rule]]\naction = \"allow\"\nproto = \"tpc\"\n",
        "3:9",
        "unknown protocol \"tpc\"; did you mean \"tcp\"",
    ),
    (
        "[[rule]]\naction = \"allow\"\nproto = 256\n",
        "3:9",
        "protocol 256 is out of range (0-255)",
    ),
    (
        "[[rule]]\naction = \"allow\"\nport = 22\nproto = \"gre\"\n",
        "3:8",
        "protocol gre is not matched by port",
    ),
    (
        "[[rule]]\naction = \"allow\"\nfrom = []\n",
        "3:8",
        "an empty list of addresses matches nothing",
    ),
    (
        "[[rule]]\naction = \"allow\"\nfrom = \"1.1.1\"\n",
        "3:8",
        "\"1.1.1\" is not an address",
    ),
    (
        "[[rule]]\naction = \"allow\"\nfrom = \"@ofice\"\n[sets]\noffice = []\n",
        "3:8",
        "unknown set \"@ofice\"; did you mean \"@office\"",
    ),
    (
        "[[rule]]\naction = \"allow\"\nfrom = \"1.1.1.1\"\nto = \"::1\"\n",
        "1:1",
        "the rule can never match: its source is IPv4",
    ),
    (
        "[[rule]]\naction = \"allow\"\non = \"eth0:1\"\n",
        "3:6",
        "interface \"eth0:1\" is an alias",
    ),
    (
        "[[rule]]\naction = \"allow\"\nsource = \"1.1.1.1\"\n",
        "3:1",
        "unknown key \"source\"; did you mean \"from\"",
    ),
    (
        "[[rule]]\naction = \"allow\"\nlimit = \"6/m\"\n",
        "3:1",
        "unknown key \"limit\"",
    ),
    (
        "[[rule]]\naction = \"allow\"\nsport = 70000\n",
        "3:9",
        "port 70000 is out of range (1-65535)",
    ),
    (
        "[[rule]]\naction = \"allow\"\nport = 22\nuntil = \"noon\"\n",
        "4:9",
        "\"noon\" is not a time with its zone",
    ),
    // Rules that can never match.
    (
        "[[rule]]\naction = \"allow\"\nport = 22\n[[rule]]\naction = \"allow\"\nport = 22\n",
        "4:1",
        "rule 2 \"allow 22\" can never match: rule 1 on line 1 covers it",
    ),
    (
        "[[rule]]\naction = \"allow\"\nport = \"1:1000\"\n# ssh\n[[rule]]\naction = \"deny\"\nport = 22\nproto = \"tcp\"\ncomment = \"ssh\"\n",
        "5:1",
        "rule 2 \"ssh\" can never match: rule 1 on line 1 covers it",
    ),
    (
        "[[rule]]\naction = \"deny\"\nfrom = \"10.0.0.0/8\"\n[[rule]]\naction = \"allow\"\nfrom = \"10.1.2.3\"\nport = 22\n",
        "4:1",
        "rule 2",
    ),
];
