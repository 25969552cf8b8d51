/// `/etc/hosts` (hosts(5)). Pure.
public enum HostsFile {
    /// The numeric addresses of `name` (lower case, no final dot), in the order of the file.
    public static func addresses(of name: String, in text: [UInt8]) -> [String] {
        let name = Array(name.utf8)
        var addresses: [String] = []
        for line in text.split(whereSeparator: { $0 == 0x0A || $0 == 0x0D }) {
            let words = line.prefix { $0 != UInt8(ascii: "#") }.split(whereSeparator: { $0 == 0x20 || $0 == 0x09 })
            guard let address = words.first, words.dropFirst().contains(where: { isEqual($0, name) }) else { continue }
            let known = String(decoding: address, as: UTF8.self)
            if !addresses.contains(known) { addresses.append(known) }
        }
        return addresses
    }

    private static func isEqual(_ word: ArraySlice<UInt8>, _ name: [UInt8]) -> Bool {
        word.count == name.count && zip(word, name).allSatisfy { DNSName.lower($0) == $1 }
    }
}
