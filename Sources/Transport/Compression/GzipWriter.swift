internal import Base

/// Compresses one body on its way out. Each holds about 130 KB until it is closed, so a loop has a limit to their number.
///
/// Touched only on its loop.
final class GzipWriter {
    private let deflater: Deflater
    /// Every piece comes out at once, for a client that follows; otherwise what makes the best of it.
    private let flush: Deflater.Flush

    fileprivate init(_ deflater: Deflater, flushesEachPiece: Bool) {
        self.deflater = deflater
        flush = flushesEachPiece ? .sync : .none
    }

    func encode(_ bytes: [UInt8]) -> [UInt8] {
        var output: [UInt8] = []
        deflater.deflate(bytes, flush: flush, into: &output)
        return output
    }

    func finish() -> [UInt8] {
        var output: [UInt8] = []
        deflater.deflate([], flush: .finish, into: &output)
        return output
    }

    /// A whole body in one call.
    func encodeWhole(_ bytes: [UInt8]) -> [UInt8] {
        var output: [UInt8] = []
        output.reserveCapacity(bytes.count / 3)
        deflater.deflate(bytes, flush: .finish, into: &output)
        return output
    }

    /// The compressors of one loop. One is kept for the next answer.
    struct Pool {
        /// Of one loop, at once: about 8 MB.
        static let limit = 64

        private var spare: Deflater?
        private var inUse = 0

        /// nil when too many are in use: the answer goes out plain.
        mutating func take(flushesEachPiece: Bool) -> GzipWriter? {
            guard inUse < Self.limit else { return nil }
            let known = spare
            spare = nil
            // The fastest level: an answer is compressed once and read once.
            guard let deflater = known ?? (try? Deflater(.gzip, level: 1, windowBits: 14, memoryLevel: 7)) else {
                return nil
            }
            inUse += 1
            return GzipWriter(deflater, flushesEachPiece: flushesEachPiece)
        }

        mutating func giveBack(_ writer: GzipWriter) {
            inUse -= 1
            guard spare == nil else { return }
            writer.deflater.reset()
            spare = writer.deflater
        }
    }
}
