internal import Base

/// zlib's states of one loop. Connections that keep no context take turns with them, so that an idle one holds none.
///
/// `@unchecked Sendable`: touched only on its loop.
final class CompressionPool: @unchecked Sendable {
    private struct Kind: Hashable {
        let windowBits: Int
        let level: Int
    }

    private var deflaters: [Kind: Deflater] = [:]
    private var inflaters: [Inflater] = []
    /// More than these are made when many messages come in at once, and let go again.
    private static let keptInflaters = 4

    /// For one message at a time, between two resets.
    fileprivate func deflater(level: Int, windowBits: Int) throws(BerthError) -> Deflater {
        let kind = Kind(windowBits: windowBits, level: level)
        if let deflater = deflaters[kind] { return deflater }
        let deflater = try Deflater(.raw, level: level, windowBits: windowBits)
        deflaters[kind] = deflater
        return deflater
    }

    /// Of the largest window, which expands what any other made.
    fileprivate func takeInflater() throws(BerthError) -> Inflater {
        if let inflater = inflaters.popLast() { return inflater }
        return try Inflater(.raw)
    }

    fileprivate func giveBack(_ inflater: Inflater) {
        guard inflaters.count < Self.keptInflaters else { return }
        inflater.reset()
        inflaters.append(inflater)
    }
}

/// What ends every compressed message and is left out on the wire (RFC 7692, section 7.2.1).
private let tail: [UInt8] = [0, 0, 0xFF, 0xFF]

/// Compresses the messages of one connection.
final class MessageDeflater {
    private let pool: CompressionPool
    private let direction: DeflateAgreement.Direction
    private let wishes: WebSocketCompression
    /// Of a connection whose messages refer to earlier ones.
    private var own: Deflater?

    init(_ direction: DeflateAgreement.Direction, wishes: WebSocketCompression, pool: CompressionPool) {
        self.direction = direction
        self.wishes = wishes
        self.pool = pool
    }

    /// The payload of a frame with RSV1; nil when the message had better go as it is.
    func compress(_ message: [UInt8], isText: Bool) -> [UInt8]? {
        guard isText || wishes.compressesBinary, direction.windowBits > 8,
            message.count >= max(1, wishes.minimumBytes), message.count <= wishes.maximumBytes
        else { return nil }
        guard let deflater = try? current() else { return nil }
        var packed: [UInt8] = []
        packed.reserveCapacity(message.count / 4)
        deflater.deflate(message, flush: .sync, into: &packed)
        packed.removeLast(tail.count)
        guard !direction.keepsContext else { return packed }
        deflater.reset()
        return packed.count < message.count ? packed : nil
    }

    private func current() throws(BerthError) -> Deflater {
        guard direction.keepsContext else {
            return try pool.deflater(level: wishes.level, windowBits: direction.windowBits)
        }
        if let own { return own }
        let fresh = try Deflater(.raw, level: wishes.level, windowBits: direction.windowBits)
        own = fresh
        return fresh
    }
}

/// Expands the messages of one connection, piece by piece.
final class MessageInflater {
    private let pool: CompressionPool
    private let keepsContext: Bool
    private let windowBits: Int
    /// Held during a message; between messages only when they refer to earlier ones.
    private var inflater: Inflater?
    /// The sender marked a block as its last one and sent nothing behind it (section 7.2.3.4).
    private var hasEnded = false

    init(_ direction: DeflateAgreement.Direction, pool: CompressionPool) {
        self.pool = pool
        keepsContext = direction.keepsContext
        windowBits = direction.windowBits
    }

    /// Appends what `bytes`, of the message under way, expand to. `limit`: the bytes that `message` may hold.
    func expand(_ bytes: [UInt8], into message: inout [UInt8], limit: Int) throws(WebSocketViolation) {
        do {
            let inflater = try current()
            var rest = bytes[...]
            while !rest.isEmpty {
                hasEnded = false
                let progress = try inflater.inflate(rest, into: &message, limit: limit - message.count)
                guard case .ended(let consumed) = progress else { return }
                inflater.continueBehindEnd()
                hasEnded = true
                rest = rest.dropFirst(consumed)
            }
        } catch {
            throw Self.violation(error, limit: limit)
        }
    }

    /// The message's last byte has been expanded.
    func finish(into message: inout [UInt8], limit: Int) throws(WebSocketViolation) {
        if !hasEnded {
            try expand(tail, into: &message, limit: limit)
            guard let inflater, inflater.isBetweenBlocks else {
                throw .init(.invalidPayload, "a compressed message is cut off")
            }
        }
        hasEnded = false
        guard !keepsContext, let inflater else { return }
        self.inflater = nil
        pool.giveBack(inflater)
    }

    private func current() throws(BerthError) -> Inflater {
        if let inflater { return inflater }
        // zlib's own senders make a window of 9 bits where 8 were agreed on.
        let fresh = try keepsContext ? Inflater(.raw, windowBits: max(9, windowBits)) : pool.takeInflater()
        inflater = fresh
        return fresh
    }

    private static func violation(_ error: BerthError, limit: Int) -> WebSocketViolation {
        switch error.code {
        case .tooLarge: .init(.tooLarge, "a message is longer than \(limit) bytes")
        case .unavailable: .init(.internalError, "there is no memory for compression")
        default: .init(.invalidPayload, "a compressed message is damaged")
        }
    }
}
