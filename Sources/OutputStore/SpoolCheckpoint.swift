internal import Base
internal import OpenSSL

/// The digest's running state at an offset, stored before bytes that went into it are removed.
struct SpoolCheckpoint {
    static let name = "checkpoint"
    private static let magic = Array("berth-spool-checkpoint 1\n".utf8)

    var digest: SHA256

    var offset: Int64 { digest.byteCount }

    var bytes: [UInt8] {
        let body = Self.magic + digest.serialized
        return body + SHA256.hash(body)
    }

    init(digest: SHA256) { self.digest = digest }

    init(bytes: [UInt8]) throws(BerthError) {
        let body = Array(bytes.dropLast(SHA256.digestLength))
        guard body.starts(with: Self.magic), bytes.count > SHA256.digestLength,
            SHA256.hash(body).elementsEqual(bytes.suffix(SHA256.digestLength))
        else { throw BerthError(.internal, "a spool's checkpoint is damaged") }
        digest = try SHA256(serialized: Array(body.dropFirst(Self.magic.count)))
    }
}
