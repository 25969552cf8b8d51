public import Base
internal import FoundationEssentials

/// The SHA-256 of a public key (SubjectPublicKeyInfo, DER), written `sha256/BASE64` as in RFC 7469, section 2.4.
public struct KeyPin: Hashable, Sendable, CustomStringConvertible {
    /// 32 bytes.
    public let digest: [UInt8]

    init(subjectPublicKeyInfo: [UInt8]) { digest = SHA256.hash(subjectPublicKeyInfo) }

    /// Also takes curl's `sha256//BASE64`.
    public init(_ text: String) throws(BerthError) {
        // Base64 may itself begin with a slash, so only its length tells the two forms apart.
        let digests = ["sha256/", "sha256//"].lazy.filter { text.hasPrefix($0) }
            .compactMap { Data(base64Encoded: String(text.dropFirst($0.count))) }
        guard let data = digests.first(where: { $0.count == SHA256.digestLength })
        else {
            throw BerthError(
                .invalidValue,
                "'\(text.prefix(100))' is not the pin of a key",
                remedy: "write sha256/ and 44 characters of base64, as 'berth serve' prints it"
            )
        }
        digest = Array(data)
    }

    /// Several pins, separated by commas or spaces; at least one.
    public static func list(_ text: String) throws(BerthError) -> [KeyPin] {
        var pins: [KeyPin] = []
        for part in text.split(whereSeparator: { $0 == "," || $0 == " " }) { pins.append(try KeyPin(String(part))) }
        return pins.isEmpty ? [try KeyPin(text)] : pins
    }

    public var description: String { "sha256/" + Data(digest).base64EncodedString() }
}
