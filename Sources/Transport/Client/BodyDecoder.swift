internal import Base
internal import Synchronization

/// Expands a gzip body between its buffer and its reader, a little at a time: what the reader has not asked for is not
/// expanded, so a small body cannot become a large one in memory.
final class BodyDecoder: Sendable {
    private struct State: ~Copyable {
        let inflater: Inflater
        /// Compressed bytes that have not been expanded yet, from `position` on.
        var input: [UInt8] = []
        var position = 0
        /// Nothing has been begun, or what was begun is complete: a 304 tells of a compression without a body.
        var isWhole = true
    }

    /// DEFLATE makes at most 1,032 bytes of one, so a step gives at most half a megabyte.
    private static let step = 512

    private let state: Mutex<State>

    init() throws(BerthError) { state = Mutex(State(inflater: try Inflater(.gzip))) }

    /// The next expanded bytes; nil when more of `take(_:)` is needed.
    func next() throws -> [UInt8]? {
        try state.withLock { state in
            while state.position < state.input.count {
                let end = min(state.position + Self.step, state.input.count)
                if state.isWhole {
                    // Another member may follow (RFC 1952, section 2.2).
                    state.inflater.reset()
                    state.isWhole = false
                }
                var output: [UInt8] = []
                let progress = try Self.inflate(state.inflater, Array(state.input[state.position..<end]), &output)
                switch progress {
                case .needsMore: state.position = end
                case .ended(let consumed):
                    state.position += consumed
                    state.isWhole = true
                }
                if !output.isEmpty { return output }
            }
            return nil
        }
    }

    func take(_ bytes: [UInt8]) {
        state.withLock { state in
            state.input = bytes
            state.position = 0
        }
    }

    /// Checks, at the body's end, that it was whole.
    func finish() throws(BerthError) {
        guard state.withLock({ $0.isWhole }) else {
            throw BerthError(.protocolViolation, "the compressed response ends half-way", isRetryable: true)
        }
    }

    private static func inflate(_ inflater: Inflater, _ input: [UInt8], _ output: inout [UInt8]) throws(BerthError)
        -> Inflater.Progress
    {
        do {
            return try inflater.inflate(input, into: &output, limit: 1 << 20)
        } catch {
            throw BerthError(.protocolViolation, "the response is not what gzip makes: \(error.message)")
        }
    }
}
