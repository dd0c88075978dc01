//! Small databases for tests, written by the format's description and not by the reader's code.

use std::net::IpAddr;

use ipnetwork::IpNetwork;

/// A value of a record.
#[derive(Clone, Debug)]
pub enum Value {
    /// Keys and values.
    Map(Vec<(&'static str, Value)>),
    /// Text.
    Text(String),
    /// A number of 32 bits.
    Number(u32),
    /// A number of 16 bits, which is another type.
    Short(u16),
}

/// A database in the making.
#[derive(Clone, Debug)]
pub struct Database {
    kind: String,
    built: u64,
    ip_version: u16,
    has_aliases: bool,
    entries: Vec<(IpNetwork, Value)>,
}

/// What a side of a node leads to.
#[derive(Clone, Copy)]
enum Side {
    Nothing,
    Node(usize),
    Data(usize),
}

impl Database {
    /// Without a network; with an IPv4 part and its aliases, as GeoLite2 has them.
    #[must_use]
    pub fn new(kind: &str) -> Self {
        Self {
            kind: kind.to_owned(),
            built: 1_795_392_000,
            ip_version: 6,
            has_aliases: true,
            entries: Vec::new(),
        }
    }

    /// For IPv4 alone.
    #[must_use]
    pub fn of_ipv4(mut self) -> Self {
        self.ip_version = 4;
        self.has_aliases = false;
        self
    }

    /// Built at another time.
    #[must_use]
    pub fn built(mut self, seconds: u64) -> Self {
        self.built = seconds;
        self
    }

    /// A network with a country and a continent.
    ///
    /// # Panics
    /// When it is no prefix.
    #[must_use]
    pub fn country(self, network: &str, country: &str, continent: &str) -> Self {
        let text = |text: &str| Value::Text(text.to_owned());
        let record = Value::Map(vec![
            ("continent", Value::Map(vec![("code", text(continent))])),
            ("country", Value::Map(vec![("iso_code", text(country))])),
        ]);
        self.record(network, record)
    }

    /// A network with a number.
    ///
    /// # Panics
    /// When it is no prefix.
    #[must_use]
    pub fn asn(self, network: &str, number: u32) -> Self {
        let key = "autonomous_system_number";
        self.record(network, Value::Map(vec![(key, Value::Number(number))]))
    }

    /// A network with any record.
    ///
    /// # Panics
    /// When it is no prefix.
    #[must_use]
    pub fn record(mut self, network: &str, record: Value) -> Self {
        let network = network.parse().expect("a prefix");
        self.entries.push((network, record));
        self
    }

    /// The bytes of the file.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let mut nodes = vec![[Side::Nothing; 2]];
        let mut data = Vec::new();
        for (network, record) in &self.entries {
            let at = data.len();
            record.write(&mut data);
            let (bits, len) = self.bits(*network);
            insert(&mut nodes, bits, len, Side::Data(at));
        }
        if self.has_aliases {
            self.alias(&mut nodes);
        }
        let count = nodes.len();
        let word = |side: Side| -> u32 {
            let word = match side {
                Side::Nothing => count,
                Side::Node(node) => node,
                Side::Data(at) => count + 16 + at,
            };
            u32::try_from(word).expect("a small database")
        };
        let mut bytes = Vec::new();
        for node in &nodes {
            for side in node {
                bytes.extend(word(*side).to_be_bytes());
            }
        }
        bytes.extend([0; 16]);
        bytes.extend(data);
        bytes.extend(b"\xab\xcd\xefMaxMind.com");
        self.write_metadata(&mut bytes, count);
        bytes
    }

    /// Bits from the top, and how many count.
    fn bits(&self, network: IpNetwork) -> (u128, u8) {
        match (network.network(), self.ip_version) {
            (IpAddr::V4(ip), 4) => (u128::from(ip.to_bits()) << 96, network.prefix()),
            (IpAddr::V4(ip), _) => (u128::from(ip.to_bits()), 96 + network.prefix()),
            (IpAddr::V6(ip), _) => (ip.to_bits(), network.prefix()),
        }
    }

    /// Mapped and 6to4 addresses lead to the IPv4 part.
    fn alias(&self, nodes: &mut Vec<[Side; 2]>) {
        let mut node = 0;
        for _ in 0..96 {
            let Side::Node(next) = nodes[node][0] else {
                return;
            };
            node = next;
        }
        insert(nodes, 0xffff << 32, 96, Side::Node(node));
        insert(nodes, 0x2002 << 112, 16, Side::Node(node));
    }

    fn write_metadata(&self, bytes: &mut Vec<u8>, nodes: usize) {
        let nodes = u32::try_from(nodes).expect("a small database");
        let head = |bytes: &mut Vec<u8>, kind: u8, size: u8| bytes.push(kind << 5 | size);
        head(bytes, 7, 9);
        for (key, value) in [
            ("binary_format_major_version", Value::Short(2)),
            ("binary_format_minor_version", Value::Short(0)),
            ("database_type", Value::Text(self.kind.clone())),
            (
                "description",
                Value::Map(vec![("en", Value::Text("a test".to_owned()))]),
            ),
            ("ip_version", Value::Short(self.ip_version)),
            ("node_count", Value::Number(nodes)),
            ("record_size", Value::Short(32)),
        ] {
            Value::Text(key.to_owned()).write(bytes);
            value.write(bytes);
        }
        Value::Text("build_epoch".to_owned()).write(bytes);
        // An unsigned number of 64 bits, one of the types with a second byte.
        bytes.extend([8, 2]);
        bytes.extend(self.built.to_be_bytes());
        Value::Text("languages".to_owned()).write(bytes);
        // An empty list.
        bytes.extend([0, 4]);
    }
}

impl Value {
    fn write(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Map(entries) => {
                bytes.push(7 << 5 | u8::try_from(entries.len()).expect("few keys"));
                for (key, value) in entries {
                    Self::Text((*key).to_owned()).write(bytes);
                    value.write(bytes);
                }
            }
            Self::Text(text) => {
                match u8::try_from(text.len()).expect("a short text") {
                    short @ 0..29 => bytes.push(2 << 5 | short),
                    long => bytes.extend([2 << 5 | 29, long - 29]),
                }
                bytes.extend(text.as_bytes());
            }
            Self::Short(number) => {
                bytes.push(5 << 5 | 2);
                bytes.extend(number.to_be_bytes());
            }
            Self::Number(number) => {
                bytes.push(6 << 5 | 4);
                bytes.extend(number.to_be_bytes());
            }
        }
    }
}

/// A later prefix wins over a wider one of before.
fn insert(nodes: &mut Vec<[Side; 2]>, bits: u128, len: u8, target: Side) {
    let mut node = 0;
    for depth in 0..len {
        let side = usize::from(bits >> (127 - depth) & 1 == 1);
        if depth + 1 == len {
            nodes[node][side] = target;
            return;
        }
        node = match nodes[node][side] {
            Side::Node(next) => next,
            end @ (Side::Nothing | Side::Data(_)) => {
                nodes.push([end; 2]);
                let next = nodes.len() - 1;
                nodes[node][side] = Side::Node(next);
                next
            }
        };
    }
}
