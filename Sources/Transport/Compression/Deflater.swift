internal import Base
internal import CZlib

/// Compresses a stream of bytes (DEFLATE, RFC 1951). It holds `2^(windowBits+2) + 2^(memoryLevel+9)` bytes.
///
/// Used by one owner at a time.
final class Deflater {
    enum Flush {
        /// Output may be held back.
        case none
        /// Everything so far comes out, on a byte's edge: the output ends with `00 00 FF FF`. Nothing at all comes out
        /// where nothing went in since the last time.
        case sync
        /// The end of the stream; ``reset()`` begins another.
        case finish

        fileprivate var code: CInt {
            switch self {
            case .none: Z_NO_FLUSH
            case .sync: Z_SYNC_FLUSH
            case .finish: Z_FINISH
            }
        }
    }

    /// The address must not change: zlib's state points back at it.
    private let stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)

    /// - Parameters:
    ///   - level: 1 (fastest) to 9 (smallest).
    ///   - windowBits: 9 to 15; the window of earlier bytes is `2^windowBits`.
    ///   - memoryLevel: 1 (least memory) to 9 (fastest).
    init(_ format: CompressionFormat, level: Int = 6, windowBits: Int = 15, memoryLevel: Int = 8) throws(BerthError) {
        precondition((1...9).contains(level) && (9...15).contains(windowBits) && (1...9).contains(memoryLevel))
        stream.initialize(to: z_stream())
        let status = deflateInit2_(
            stream,
            CInt(level),
            Z_DEFLATED,
            format.code(windowBits: windowBits),
            CInt(memoryLevel),
            Z_DEFAULT_STRATEGY,
            ZLIB_VERSION,
            CInt(MemoryLayout<z_stream>.size)
        )
        guard status == Z_OK else { throw BerthError(.unavailable, "there is no memory for compression") }
    }

    deinit {
        deflateEnd(stream)
        stream.deallocate()
    }

    /// Appends what comes out to `output`.
    func deflate(_ input: UnsafeRawBufferPointer, flush: Flush, into output: inout [UInt8]) {
        stream.pointee.next_in = UnsafeMutablePointer(mutating: input.baseAddress?.assumingMemoryBound(to: UInt8.self))
        stream.pointee.avail_in = UInt32(input.count)
        repeat {
            withUnsafeTemporaryAllocation(of: UInt8.self, capacity: CompressionFormat.bufferSize) { buffer in
                stream.pointee.next_out = buffer.baseAddress
                stream.pointee.avail_out = UInt32(buffer.count)
                _ = CZlib.deflate(stream, flush.code)
                output.append(contentsOf: buffer[..<(buffer.count - Int(stream.pointee.avail_out))])
            }
        } while stream.pointee.avail_out == 0
    }

    func deflate(_ input: [UInt8], flush: Flush, into output: inout [UInt8]) {
        input.withUnsafeBytes { deflate($0, flush: flush, into: &output) }
    }

    /// Forgets everything seen so far.
    func reset() { deflateReset(stream) }
}
