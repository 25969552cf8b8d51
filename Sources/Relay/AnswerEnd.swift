public import Base
internal import EventLoop
public import WorkerProtocol

/// The asking side of a call: keeps what comes until the other side ends.
///
/// `@unchecked Sendable`: touched only on the link's loop.
private final class AnswerEnd: ChannelEnd, @unchecked Sendable {
    private let waiter: Waiter<[UInt8]>
    private let limit: Int
    private let channel: TCPChannel
    private var bytes: [UInt8] = []

    init(_ channel: TCPChannel, limit: Int, _ waiter: Waiter<[UInt8]>) {
        self.channel = channel
        self.limit = limit
        self.waiter = waiter
    }

    func receive(_ more: UnsafeRawBufferPointer) {
        guard bytes.count + more.count <= limit else {
            waiter.resume(throwing: BerthError(.tooLarge, "the worker's answer is longer than \(limit) bytes"))
            return channel.reset("the answer is too long")
        }
        bytes.append(contentsOf: more)
    }

    var unsentBytes: Int { 0 }

    func receiveEnd() { waiter.resume(returning: bytes) }

    func mayGoOn() {}

    func channelOver(_ ending: ChannelEnding) {
        switch ending {
        case .finished: break
        case .reset(let reason, _): waiter.resume(throwing: BerthError(.network, reason, isRetryable: true))
        case .linkLost: waiter.resume(throwing: LinkChannels.lost)
        }
    }
}

extension LinkChannels {
    private static let longestAnswer = 16 << 20

    /// Asks a service of the worker's and returns its answer. Throws what the service refused it with, and as
    /// ``connect(to:until:)``.
    public func call<Call: ServiceCall>(_ call: Call, until deadline: Uptime) async throws -> Call.Answer {
        let channel = try await connect(to: .service(try ServiceRequest(call)), until: deadline)
        let bytes = try await channel.collect(upTo: Self.longestAnswer, until: deadline)
        let answer: ServiceAnswer<Call.Answer>
        do {
            answer = try JSONText.decode(ServiceAnswer<Call.Answer>.self, from: bytes)
        } catch {
            throw BerthError(.protocolViolation, "the worker's answer to \(Call.service) cannot be read")
        }
        if let refusal = answer.refusal { throw refusal.error }
        guard let value = answer.value else {
            throw BerthError(.protocolViolation, "the worker's answer to \(Call.service) is empty")
        }
        return value
    }
}

extension OpenChannel {
    /// Everything that the other side sends, up to its end.
    fileprivate func collect(upTo limit: Int, until deadline: Uptime) async throws -> [UInt8] {
        let (channel, loop) = (channel, link.loop)
        do {
            return try await loop.suspend(until: deadline, what: "the worker's answer") { (waiter: Waiter<[UInt8]>) in
                channel.attach(AnswerEnd(channel, limit: limit, waiter))
                channel.endOutput()
            }
        } catch {
            loop.execute { channel.reset("the caller has gone") }
            throw error
        }
    }
}
