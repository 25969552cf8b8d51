public import Base
internal import FoundationEssentials
internal import OpenSSL

/// An Ed25519 key pair in OpenSSH's own forms (PROTOCOL.key of OpenSSH; RFC 8709), without a passphrase.
public struct OpenSSHKeyPair: Sendable {
    /// `ssh-ed25519 AAAA…`, without a comment.
    public let publicKey: String
    /// The file that `ssh -i` takes.
    public let privateKey: Secret<String>

    private static let kind = "ssh-ed25519"
    /// The cipher's block: unencrypted keys are padded to 8 bytes.
    private static let block = 8

    /// - Parameter comment: what `ssh-add -l` shows.
    public init(randomness: any Randomness, comment: String) throws(BerthError) {
        let pair = try Ed25519KeyPair(seed: randomness.bytes(Ed25519KeyPair.seedLength))
        var open = Wire()
        open.add(Self.kind)
        open.add(pair.publicKey)
        publicKey = "\(Self.kind) \(Data(open.bytes).base64EncodedString())"

        let check = UInt32(truncatingIfNeeded: randomness.next())
        var closed = Wire()
        // Twice the same: how a wrong passphrase would be noticed.
        closed.add(check)
        closed.add(check)
        closed.add(Self.kind)
        closed.add(pair.publicKey)
        closed.add(pair.seed.reveal() + pair.publicKey)
        closed.add(comment)
        closed.bytes += (1...UInt8(Self.block)).prefix((Self.block - closed.bytes.count % Self.block) % Self.block)

        var file = Wire()
        file.bytes = Array("openssh-key-v1\0".utf8)
        file.add("none")
        file.add("none")
        file.add("")
        file.add(UInt32(1))
        file.add(open.bytes)
        file.add(closed.bytes)
        let text = Array(Data(file.bytes).base64EncodedString().utf8)
        let lines = stride(from: 0, to: text.count, by: 70).map { start in
            String(decoding: text[start..<min(start + 70, text.count)], as: UTF8.self) + "\n"
        }
        privateKey = Secret(
            "-----BEGIN OPENSSH PRIVATE KEY-----\n\(lines.joined())-----END OPENSSH PRIVATE KEY-----\n"
        )
    }

    /// The data types of RFC 4251, section 5.
    private struct Wire {
        var bytes: [UInt8] = []

        mutating func add(_ number: UInt32) { withUnsafeBytes(of: number.bigEndian) { bytes += $0 } }

        mutating func add(_ string: [UInt8]) {
            add(UInt32(string.count))
            bytes += string
        }

        mutating func add(_ text: String) { add(Array(text.utf8)) }
    }
}
