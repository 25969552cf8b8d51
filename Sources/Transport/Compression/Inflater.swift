internal import Base
internal import CZlib

/// Expands a stream of bytes that ``Deflater`` or a foreign peer compressed. It holds about `2^windowBits + 7,000` bytes
/// once it has seen some input.
///
/// Used by one owner at a time.
final class Inflater {
    enum Progress: Equatable {
        case needsMore
        /// The compressed stream is complete; what follows `consumed` is not part of it.
        case ended(consumed: Int)
    }

    private let stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)

    /// - Parameter windowBits: 8 to 15, at least those of the sender.
    init(_ format: CompressionFormat, windowBits: Int = 15) throws(BerthError) {
        precondition((8...15).contains(windowBits))
        stream.initialize(to: z_stream())
        let status = inflateInit2_(
            stream,
            format.code(windowBits: windowBits),
            ZLIB_VERSION,
            CInt(MemoryLayout<z_stream>.size)
        )
        guard status == Z_OK else { throw BerthError(.unavailable, "there is no memory for compression") }
    }

    deinit {
        inflateEnd(stream)
        stream.deallocate()
    }

    /// Appends what comes out to `output`, at most `limit` bytes in this call.
    /// - Throws: `tooLarge` above the limit, `invalidRequest` for what is not DEFLATE; afterwards only ``reset()`` helps.
    func inflate(
        _ input: UnsafeRawBufferPointer,
        into output: inout [UInt8],
        limit: Int
    ) throws(BerthError) -> Progress {
        let end = output.count + limit
        let status = expand(input, into: &output, end: end)
        return try progress(status, of: input.count, isOverLimit: output.count > end, limit: limit)
    }

    func inflate(_ input: [UInt8], into output: inout [UInt8], limit: Int) throws(BerthError) -> Progress {
        try inflate(input[...], into: &output, limit: limit)
    }

    func inflate(_ input: ArraySlice<UInt8>, into output: inout [UInt8], limit: Int) throws(BerthError) -> Progress {
        let end = output.count + limit
        let status = input.withUnsafeBytes { expand($0, into: &output, end: end) }
        return try progress(status, of: input.count, isOverLimit: output.count > end, limit: limit)
    }

    private func progress(
        _ status: CInt,
        of count: Int,
        isOverLimit: Bool,
        limit: Int
    ) throws(BerthError) -> Progress {
        guard !isOverLimit else { throw BerthError(.tooLarge, "the data expands to more than \(limit) bytes") }
        return switch status {
        case Z_STREAM_END: .ended(consumed: count - Int(stream.pointee.avail_in))
        case Z_OK, Z_BUF_ERROR: .needsMore
        case Z_MEM_ERROR: throw BerthError(.unavailable, "there is no memory for compression")
        default: throw BerthError(.invalidRequest, "the compressed data is damaged")
        }
    }

    /// Forgets everything seen so far.
    func reset() { inflateReset(stream) }

    /// After ``Progress/ended(consumed:)``: begins another stream that may refer to what came before.
    func continueBehindEnd() { inflateResetKeep(stream) }

    /// Whether the input so far ends with a whole block.
    var isBetweenBlocks: Bool { stream.pointee.data_type & 128 != 0 }

    /// Stops one byte past `end`, so that a byte too many is seen without expanding the rest.
    private func expand(_ input: UnsafeRawBufferPointer, into output: inout [UInt8], end: Int) -> CInt {
        stream.pointee.next_in = UnsafeMutablePointer(mutating: input.baseAddress?.assumingMemoryBound(to: UInt8.self))
        stream.pointee.avail_in = UInt32(input.count)
        var status = Z_OK
        repeat {
            withUnsafeTemporaryAllocation(of: UInt8.self, capacity: CompressionFormat.bufferSize) { buffer in
                let room = min(buffer.count, end + 1 - output.count)
                stream.pointee.next_out = buffer.baseAddress
                stream.pointee.avail_out = UInt32(room)
                status = CZlib.inflate(stream, Z_SYNC_FLUSH)
                output.append(contentsOf: buffer[..<(room - Int(stream.pointee.avail_out))])
            }
        } while status == Z_OK && stream.pointee.avail_out == 0 && output.count <= end
        return status
    }
}
