public import Base
internal import COpenSSL

/// A running SHA-256 (FIPS 180-4) whose state can be stored and continued by another process.
public struct SHA256: Sendable {
    public static let digestLength = 32
    /// Length of ``serialized``: version, eight hash words, byte count, number of bytes waiting, the waiting block.
    public static let serializedLength = 1 + 32 + 8 + 1 + 64

    private var context = SHA256_CTX()
    /// Bytes taken in so far.
    public private(set) var byteCount: Int64 = 0

    public init() { SHA256_Init(&context) }

    public mutating func update(_ bytes: UnsafeRawBufferPointer) {
        guard let start = bytes.baseAddress, bytes.count > 0 else { return }
        SHA256_Update(&context, start, bytes.count)
        byteCount += Int64(bytes.count)
    }

    public mutating func update(_ bytes: [UInt8]) {
        bytes.withUnsafeBytes { update($0) }
    }

    public mutating func update(_ bytes: ArraySlice<UInt8>) {
        bytes.withUnsafeBytes { update($0) }
    }

    /// The 32-byte digest of what was taken in so far; the running state stays usable.
    public var digest: [UInt8] {
        var copy = context
        var result = [UInt8](repeating: 0, count: Self.digestLength)
        SHA256_Final(&result, &copy)
        return result
    }

    public static func hash(_ bytes: [UInt8]) -> [UInt8] {
        var running = SHA256()
        running.update(bytes)
        return running.digest
    }
}

extension SHA256 {
    private static let formatVersion: UInt8 = 1

    /// The running state in a form independent of OpenSSL's memory layout (big-endian words).
    public var serialized: [UInt8] {
        var result: [UInt8] = [Self.formatVersion]
        result.reserveCapacity(Self.serializedLength)
        for word in Self.words(context) { result.append(bigEndian: word) }
        result.append(bigEndian: UInt32(truncatingIfNeeded: byteCount >> 32))
        result.append(bigEndian: UInt32(truncatingIfNeeded: byteCount))
        result.append(UInt8(context.num))
        withUnsafeBytes(of: context.data) { result.append(contentsOf: $0) }
        return result
    }

    /// Continues from ``serialized``; refuses any other bytes with `invalidValue`.
    public init(serialized bytes: [UInt8]) throws(BerthError) {
        guard bytes.count == Self.serializedLength, bytes[0] == Self.formatVersion, bytes[41] < 64 else {
            throw BerthError(.invalidValue, "this is not a stored SHA-256 state of a known version")
        }
        self.init()
        func word(_ index: Int) -> UInt32 { bytes[index..<index + 4].reduce(0) { $0 << 8 | UInt32($1) } }
        withUnsafeMutableBytes(of: &context.h) { target in
            for index in 0..<8 { target.storeBytes(of: word(1 + index * 4), toByteOffset: index * 4, as: UInt32.self) }
        }
        let count = UInt64(word(33)) << 32 | UInt64(word(37))
        guard count >> 60 == 0, UInt8(count % 64) == bytes[41] else {
            throw BerthError(.invalidValue, "the stored SHA-256 state contradicts its byte count")
        }
        byteCount = Int64(count)
        context.Nl = UInt32(truncatingIfNeeded: count << 3)
        context.Nh = UInt32(truncatingIfNeeded: count >> 29)
        context.num = UInt32(bytes[41])
        withUnsafeMutableBytes(of: &context.data) { $0.copyBytes(from: bytes[42...]) }
    }

    private static func words(_ context: SHA256_CTX) -> [UInt32] {
        withUnsafeBytes(of: context.h) { Array($0.bindMemory(to: UInt32.self)) }
    }
}

extension [UInt8] {
    fileprivate mutating func append(bigEndian word: UInt32) {
        Swift.withUnsafeBytes(of: word.bigEndian) { append(contentsOf: $0) }
    }
}
