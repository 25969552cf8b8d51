public import Base
import OpenSSL

/// A bearer token: a prefix that tells its kind, and 24 random bytes in hexadecimal. Only its hash is stored.
public struct AccessToken: Sendable {
    public enum Kind: String, Sendable, CaseIterable {
        /// A person's own key.
        case personal = "berth_"
        /// A team member's key, as the documents write it.
        case team = "dac_"
        /// A worker's.
        case worker = "berthw_"
    }

    private static let randomLength = 24

    public let text: Secret<String>

    private init(checked text: Secret<String>) { self.text = text }

    public static func make(_ kind: Kind, _ randomness: any Randomness) -> AccessToken {
        AccessToken(checked: Secret(kind.rawValue + Hex.encode(randomness.bytes(randomLength))))
    }

    /// nil for anything that is no token of ours by its form, so that it never reaches the database.
    public init?(presented text: Secret<String>) {
        var plain = text.reveal()
        let isToken = plain.withUTF8 { plain in
            Kind.allCases.contains { kind in
                let prefix = kind.rawValue.utf8
                return plain.count == prefix.count + Self.randomLength * 2 && zip(plain, prefix).allSatisfy(==)
                    && plain[prefix.count...].allSatisfy(Self.isHexadecimal)
            }
        }
        guard isToken else { return nil }
        self.text = text
    }

    private static func isHexadecimal(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(byte)
    }

    /// SHA-256; enough without a salt, because the token itself is 192 random bits.
    public var hash: [UInt8] { Self.hash(text) }

    /// Of any token, also one of a form that is not ours.
    public static func hash(_ text: Secret<String>) -> [UInt8] { SHA256.hash(Array(text.reveal().utf8)) }

    /// The last four characters, by which a person recognises the key.
    public var ending: String { String(text.reveal().suffix(4)) }

    public static func areEqual(_ left: [UInt8], _ right: [UInt8]) -> Bool { SecureComparison.areEqual(left, right) }
}
