public import Base
internal import FoundationEssentials

/// A private key as a person keeps it in a file: what can be said of it before any server sees it.
public enum SSHPrivateKey {
    /// OpenSSH's default RSA keys have under 4 KiB; certificates and comments add a little.
    public static let maximumBytes = 64 << 10

    /// Throws where ssh could not use `text` without asking somebody.
    public static func validate(_ text: String, field: String) throws(BerthError) {
        guard text.utf8.count <= maximumBytes else {
            throw refused("the key has \(text.utf8.count) bytes, which no key has", field)
        }
        let lines = text.split(whereSeparator: \.isNewline).map { String($0).trimmed }.filter { !$0.isEmpty }
        if let first = lines.first, first.hasPrefix("ssh-") || first.hasPrefix("ecdsa-") || first.hasPrefix("sk-") {
            throw refused("this is the public half of a key", field, remedy: "give the file without '.pub'")
        }
        guard let first = lines.first, first.hasPrefix("-----BEGIN "), first.hasSuffix("PRIVATE KEY-----"),
            lines.last == first.replacing("BEGIN", with: "END")
        else { throw refused("this is no private key in OpenSSH or PEM form", field) }
        let isEncrypted =
            first.contains("ENCRYPTED") || lines.contains { $0.hasPrefix("Proc-Type:") && $0.contains("ENCRYPTED") }
            || (first.contains("OPENSSH") && cipher(of: lines.dropFirst().dropLast().joined()) != "none")
        guard !isEncrypted else {
            throw refused(
                "the key has a passphrase, and nobody could be asked for it",
                field,
                remedy: "use a key of its own for Berth, such as a deploy key (ssh-keygen -t ed25519 -N '' -f FILE)"
            )
        }
    }

    /// openssh-key-v1 (PROTOCOL.key of OpenSSH): magic, then the cipher's name as a length and bytes.
    private static func cipher(of base64: String) -> String? {
        guard let data = Data(base64Encoded: base64) else { return nil }
        let magic = Array("openssh-key-v1\0".utf8)
        let bytes = Array(data)
        guard bytes.starts(with: magic), bytes.count >= magic.count + 4 else { return nil }
        let length = bytes[magic.count..<magic.count + 4].reduce(0) { $0 << 8 | Int($1) }
        let start = magic.count + 4
        guard length <= bytes.count - start else { return nil }
        return String(decoding: bytes[start..<start + length], as: UTF8.self)
    }

    private static func refused(
        _ problem: String,
        _ field: String,
        remedy: String = "give the private half, in OpenSSH or PEM form, without a passphrase"
    ) -> BerthError {
        BerthError(.invalidValue, problem, field: field, remedy: remedy)
    }
}
