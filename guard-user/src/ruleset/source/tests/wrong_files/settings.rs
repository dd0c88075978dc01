//! Policy files with wrong settings, sets, limits, bans and feeds, where they are wrong, and what is said
//! about it.

use super::Wrong;

pub(super) const SETTINGS: &[Wrong] = &[
    ("default", (1, 8), "not valid TOML"),
    ("default = ", (1, 11), "not valid TOML"),
    ("default = \"deny", (1, 16), "not valid TOML"),
    ("default = deny\n", (1, 11), "not valid TOML"),
    (
        "default = \"deny\"\ndefault = \"deny\"\n",
        (2, 1),
        "duplicate key",
    ),
    ("a = [1,\n", (1, 8), "not valid TOML"),
    ("x = \"\u{0}\"\n", (1, 6), "not valid TOML"),
    (
        "default = \"drop\"\n",
        (1, 11),
        "default \"drop\" is unknown; did you mean \"deny\"",
    ),
    (
        "default = true\n",
        (1, 11),
        "expected \"deny\", \"allow\" or \"monitor\", found boolean",
    ),
    (
        "\n  defualt = \"deny\"\n",
        (2, 3),
        "unknown key \"defualt\"; did you mean \"default\"",
    ),
    (
        "policy = \"deny\"\n",
        (1, 1),
        "unknown key \"policy\"; did you mean \"default\"",
    ),
    ("port = 22\n", (1, 1), "key \"port\" belongs to a rule"),
    ("whitelist = []\n", (1, 1), "did you mean \"never\""),
    ("zzz = 1\n", (1, 1), "unknown key \"zzz\""),
    (
        "interfaces = 5\n",
        (1, 14),
        "expected interface names, found integer",
    ),
    (
        "interfaces = [\"eth0\", 5]\n",
        (1, 23),
        "expected a text in quotes, found integer",
    ),
    (
        "interfaces = [\"eth/0\"]\n",
        (1, 15),
        "interface \"eth/0\" is not an interface name",
    ),
    (
        "never = \"example\"\n",
        (1, 9),
        "\"example\" is not an address",
    ),
    (
        "never = [\"192.0.2.1\", \"example.org\"]\n",
        (1, 23),
        "\"example.org\" nobody was asked for it",
    ),
    (
        "[sets]\nhome = [\"example..org\"]\n",
        (2, 9),
        "\"example..org\" is not",
    ),
    ("never = [\"any\"]\n", (1, 10), "never cannot hold \"any\""),
    ("never = [\"@gone\"]\n", (1, 10), "unknown set \"@gone\""),
    (
        "never = [\"1.1.1.1/40\"]\n",
        (1, 10),
        "prefix length 40 is out of range (0-32)",
    ),
    (
        "sets = 1\n",
        (1, 8),
        "expected a table, [sets], found integer",
    ),
    (
        "[sets]\n\"a b\" = []\n",
        (2, 1),
        "set name \"a b\" cannot be used",
    ),
    ("[sets]\na = 1\n", (2, 5), "expected prefixes"),
    (
        "[sets]\na = [\"1.1.1.1\",\n  \"1.1.1.256\"]\n",
        (3, 3),
        "\"1.1.1.256\" is not an address",
    ),
    (
        "[sets]\na = [\"@b\"]\nb = []\n",
        (2, 6),
        "a set cannot contain the set \"@b\"",
    ),
    (
        "[sets]\na = { fiel = \"x\" }\n",
        (2, 5),
        "the set names no file",
    ),
    (
        "[sets]\na = { file = 1 }\n",
        (2, 14),
        "expected the name of a file",
    ),
    (
        "[sets]\na = { mmdb = \"gone.mmdb\", country = \"DE\" }\n",
        (2, 14),
        "gone.mmdb does not exist",
    ),
    (
        "[sets]\na = { mmdb = \"x.mmdb\" }\n",
        (2, 5),
        "the set does not say what of the database it holds",
    ),
    (
        "[sets]\na = { country = \"DE\" }\n",
        (2, 5),
        "the set names no database",
    ),
    (
        "[sets]\na = { mmdb = \"x.mmdb\", country = \"DE\", asn = 1 }\n",
        (2, 5),
        "a set has one of country, continent and asn",
    ),
    (
        "[sets]\na = { mmdb = \"x.mmdb\", file = \"y\", asn = 1 }\n",
        (2, 24),
        "a set has a file or a database, not both",
    ),
    (
        "[sets]\na = { mmdb = \"x.mmdb\", country = \"Germany\" }\n",
        (2, 34),
        "country \"Germany\" is no code of two letters",
    ),
    (
        "[sets]\na = { mmdb = \"x.mmdb\", country = [] }\n",
        (2, 34),
        "country names nothing",
    ),
    (
        "[sets]\na = { mmdb = \"x.mmdb\", continent = \"XX\" }\n",
        (2, 36),
        "continent \"XX\" is unknown",
    ),
    (
        "[sets]\na = { mmdb = \"x.mmdb\", asn = \"AS64496\" }\n",
        (2, 30),
        "asn \"AS64496\" is text",
    ),
    (
        "[sets]\na = { mmdb = \"x.mmdb\", asn = 0 }\n",
        (2, 30),
        "asn 0 is out of range (1-4294967295)",
    ),
    (
        "[sets]\na = { mmdb = \"x.mmdb\", asn = [1, 4294967296] }\n",
        (2, 34),
        "asn 4294967296 is out of range",
    ),
    (
        "[sets]\na = { mmdb = \"x.mmdb\", asn = true }\n",
        (2, 30),
        "expected the number of a network, found boolean",
    ),
    (
        "[sets]\na = { mmdb = 1, asn = 1 }\n",
        (2, 14),
        "expected the name of a database file",
    ),
    (
        "[sets]\na = { mmdb = \"x.mmdb\", contry = \"DE\" }\n",
        (2, 24),
        "unknown key \"contry\"; did you mean \"country\"",
    ),
    (
        "[sets]\na = { file = \"gone.txt\" }\n",
        (2, 14),
        "gone.txt does not exist",
    ),
    (
        "[sets]\na = { file = \"guard.d\" }\n",
        (2, 14),
        "guard.d is a directory",
    ),
    (
        "[sets]\na = []\ndefault = \"deny\"\n",
        (3, 1),
        "key \"default\" stands below [sets]",
    ),
    (
        "[sets]\nnever = [\"1.1.1.1\"]\n",
        (2, 1),
        "key \"never\" stands below [sets]",
    ),
    (
        "[limits]\nipv4-prefix = 33\n",
        (2, 15),
        "ipv4-prefix 33 is out of range (16-32)",
    ),
    (
        "[limits]\nipv4-prefix = 0\n",
        (2, 15),
        "ipv4-prefix 0 is out of range (16-32)",
    ),
    (
        "[limits]\nipv6-prefix = 16\n",
        (2, 15),
        "ipv6-prefix 16 is out of range (32-128)",
    ),
    (
        "[limits]\nipv6-prefix = -64\n",
        (2, 15),
        "ipv6-prefix -64 is out of range",
    ),
    (
        "[limits]\nipv6-prefix = \"64\"\n",
        (2, 15),
        "expected a number of bits, found string",
    ),
    (
        "[limits]\nipv6_prefix = 64\n",
        (2, 1),
        "unknown key \"ipv6_prefix\"; did you mean \"ipv6-prefix\"",
    ),
    (
        "[limits]\nrate = \"6/30s\"\n",
        (2, 1),
        "unknown key \"rate\"",
    ),
    (
        "[limits]\nceiling = 1000\n",
        (2, 11),
        "expected a rate like \"1000/s\", or \"off\", found integer",
    ),
    (
        "[limits]\nceiling = true\n",
        (2, 11),
        "expected a rate like \"1000/s\", or \"off\", found boolean",
    ),
    (
        "[limits]\nceiling = \"\"\n",
        (2, 11),
        "rate \"\" has no time",
    ),
    (
        "[limits]\nceiling = \"1000\"\n",
        (2, 11),
        "rate \"1000\" has no time",
    ),
    (
        "[limits]\nceiling = \"0/s\"\n",
        (2, 11),
        "rate \"0/s\" lets nobody in",
    ),
    (
        "[limits]\nceiling = \"10/0s\"\n",
        (2, 11),
        "rate \"10/0s\" has a time of 0",
    ),
    (
        "[limits]\nceiling = \"5001/s\"\n",
        (2, 11),
        "rate \"5001/s\" is faster than 5000/s",
    ),
    (
        "[limits]\nceiling = \"1/2h\"\n",
        (2, 11),
        "rate \"1/2h\" is slower than 1/h",
    ),
    (
        "[limits]\nceiling = \"10/day\"\n",
        (2, 11),
        "rate \"10/day\" has no unit of time that guard knows",
    ),
    (
        "[limits]\nceiling = \"-5/s\"\n",
        (2, 11),
        "rate \"-5/s\" is not a number per time",
    ),
    (
        "[limits]\nceiling = \"99999999999/s\"\n",
        (2, 11),
        "rate \"99999999999/s\" has a number that is too large",
    ),
    (
        "[limits]\nout-of-state = 200\n",
        (2, 16),
        "expected a rate like \"200/s\", \"0\" or \"off\", found integer",
    ),
    (
        "[limits]\nout-of-state = \"200\"\n",
        (2, 16),
        "rate \"200\" has no time",
    ),
    (
        "[limits]\nudp = 2000\n",
        (2, 7),
        "expected a rate like \"200/s\", \"0\" or \"off\", found integer",
    ),
    (
        "[limits]\nudp = \"-1/s\"\n",
        (2, 7),
        "rate \"-1/s\" is not a number per time",
    ),
    (
        "[limits]\nout_of_state = \"off\"\n",
        (2, 1),
        "unknown key \"out_of_state\"; did you mean \"out-of-state\"",
    ),
    (
        "[limits]\ncieling = \"1000/s\"\n",
        (2, 1),
        "unknown key \"cieling\"; did you mean \"ceiling\"",
    ),
    ("[limits]\ndefault = \"deny\"\n", (2, 1), "key \"default\" "),
    (
        "[limits]\nipv4-prefix = 24.5\n",
        (2, 15),
        "expected a number of bits, found float",
    ),
    (
        "[[limits]]\nceiling = \"off\"\n",
        (1, 1),
        "expected a table, [limits], found array",
    ),
    (
        "ceiling = \"1000/s\"\n",
        (1, 1),
        "key \"ceiling\" belongs to the limits",
    ),
    (
        "limits = 6\n",
        (1, 10),
        "expected a table, [limits], found integer",
    ),
    (
        "ipv6-prefix = 64\n",
        (1, 1),
        "key \"ipv6-prefix\" belongs to the limits",
    ),
    ("bans = 1\n", (1, 8), "expected a table, [bans]"),
    ("[bans]\nipv4 = 0\n", (2, 8), "0 is not a number of bans"),
    ("[bans]\nipv6 = \"many\"\n", (2, 8), "expected a number"),
    (
        "[bans]\ncidrs = 99999999999999999999\n",
        (2, 9),
        "is not a number of bans",
    ),
    (
        "[bans]\ndefault = \"soon\"\n",
        (2, 11),
        "default \"soon\" is not a length of time",
    ),
    (
        "[bans]\nbantime = \"1h\"\n",
        (2, 1),
        "unknown key \"bantime\"; did you mean \"default\"",
    ),
    (
        "[bans]\nnever = []\n",
        (2, 1),
        "key \"never\" stands below [bans]",
    ),
    ("metrics = 1\n", (1, 11), "expected a table, [metrics]"),
    (
        "[metrics]\nlisten = 9977\n",
        (2, 10),
        "expected \"unix:/run/guard/metrics\" or \"127.0.0.1:9977\"",
    ),
    (
        "[metrics]\nlisten = \"0.0.0.0:9977\"\n",
        (2, 10),
        "\"0.0.0.0:9977\" could be reached from other hosts",
    ),
    (
        "[metrics]\nlisten = \"unix:metrics\"\n",
        (2, 10),
        "is not the full path of a socket",
    ),
    (
        "[metrics]\nport = 9977\n",
        (2, 1),
        "unknown key \"port\"; did you mean \"listen\"",
    ),
    (
        "[metrics]\nnever = []\n",
        (2, 1),
        "key \"never\" stands below [metrics]",
    ),
    ("log = true\n", (1, 7), "expected a table, [log]"),
    (
        "[log]\ndrops = \"yes\"\n",
        (2, 9),
        "expected true or false, found string",
    ),
    (
        "[log]\ndrops = true\nrate = \"10\"\n",
        (3, 8),
        "has no time",
    ),
    (
        "[log]\ndropped = true\n",
        (2, 1),
        "unknown key \"dropped\"; did you mean \"drops\"",
    ),
    (
        "[log]\nnever = []\n",
        (2, 1),
        "key \"never\" stands below [log]",
    ),
    ("[feed]\nname = \"a\"\n", (1, 1), "[feed] is a single table"),
    ("[[feed]]\nname = \"a\"\n", (1, 1), "a name and a file"),
    (
        "[[feed]]\nname = \"a b\"\nfile = \"x\"\n",
        (2, 8),
        "cannot be used",
    ),
    (
        "[[feed]]\nname = \"a\"\nurl = \"x\"\n",
        (3, 1),
        "unknown key \"url\"; did you mean \"file\"",
    ),
    (
        "[[feed]]\nname = \"a\"\nfile = \"x\"\n[[feed]]\nname = \"a\"\nfile = \"y\"\n",
        (5, 8),
        "feed \"a\" is defined twice",
    ),
];
