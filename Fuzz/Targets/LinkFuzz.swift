import Base
import WorkerProtocol
import Workers

/// A whole worker's connection with the server and its database: whatever a worker claims, the server goes on, answers
/// with a code that blames the right side, and what it stored of it can be read again.
enum LinkFuzz {
    static func run(_ bytes: [UInt8]) {
        guard let house = RouteFuzz.house else { return Fuzz.check(false, "there is no server") }
        let failure = house.play { link, ear in
            var worker = PlayedWorker(Source(bytes))
            await link.receive(text: Array(worker.hello.utf8))
            await link.receive(text: Array(#"{"type":"ready","slots":9}"#.utf8))
            await house.run(#"{"personaId":"p","prompt":"x"}"#)
            while !worker.isDone, ear.heard.closeCode == nil {
                switch worker.next(ear.heard.attempt) {
                case .text(let text): await link.receive(text: text)
                case .frame(let bytes): await link.receive(binary: bytes)
                }
            }
            Fuzz.check(ear.heard.closeCode != 1011, "the server blames itself: \(ear.heard.reason)")
            guard let attempt = ear.heard.attempt else { return }
            await house.see("/v1/executions/\(attempt.executionId)")
            await house.see("/v1/executions/\(attempt.executionId)/output")
            await house.see("/api/executions/\(attempt.executionId)")
        }
        Fuzz.check(failure == nil, "the connection fails: \(failure ?? "")")
    }
}

/// What a worker says, as decisions make it.
struct PlayedWorker {
    enum Said {
        case text([UInt8])
        case frame([UInt8])
    }

    private var source: Source
    private var count = 0

    init(_ source: Source) { self.source = source }

    var isDone: Bool { source.isEmpty || count > 40 }

    /// Berth's own, or a peer that speaks the documented protocol alone.
    var hello: String {
        mutating get {
            source.byte() & 1 == 0
                ? #"{"type":"hello","workerId":"w","version":"1","capabilities":[],"protocol":1,"attempts":[]}"#
                : #"{"type":"hello","workerId":"d","version":"1","capabilities":["claude-cli"]}"#
        }
    }

    mutating func next(_ attempt: ServerMessage.Assign?) -> Said {
        count += 1
        let choice = source.byte()
        if choice > 0xF0 { return .text(source.bytes(atMost: 80)) }
        if choice > 0xE8 { return .frame(source.bytes(atMost: 80)) }
        if choice & 1 == 1 { return .frame(frame(choice >> 1)) }
        let id = choice > 0xE0 ? "exec_01jd0000000000000000000000" : attempt?.executionId.description ?? "e"
        let number = choice > 0xD8 ? self.number : "\(attempt?.attempt ?? 1)"
        let subject = #""executionId":"\#(id)","attempt":\#(number)"#
        switch (choice >> 1) % 9 {
        case 0, 1:
            let channel = source.number(below: 4)
            let stream = source.pick(["stdout", "stderr"])
            return say(
                #""type":"open","channel":\#(channel),\#(subject),"stream":"\#(stream)","offset":\#(self.number)"#
            )
        case 2: return say(#""type":"stdout","executionId":"\#(id)","chunk":\#(text),"timestamp":\#(self.number)"#)
        case 3: return say(#""type":"started",\#(subject)"#)
        case 4: return say(#""type":"progress",\#(subject),"stage":\#(text),"message":\#(text)"#)
        case 5:
            return say(#""type":"event","executionId":"\#(id)","eventType":\#(text),"payload":{"a":\#(self.number)}"#)
        case 6: return say(#""type":"ready","slots":\#(self.number)"#)
        case 7: return say(#""type":"heartbeat","timestamp":\#(self.number)"#)
        default:
            let status = source.pick(["completed", "failed", "cancelled"])
            let own = #""type":"complete",\#(subject),"status":"\#(status)","exitCode":0,"durationMs":\#(self.number)"#
            return say(source.byte() & 1 == 0 ? own : own + #","report":\#(report)"#)
        }
    }

    private func say(_ members: String) -> Said { .text(Array("{\(members)}".utf8)) }

    private var report: String {
        mutating get {
            let outcome = source.pick(["completed", "failed", "cancelled", "timedOut"])
            let tokens = ["inputTokens", "outputTokens", "cacheReadTokens", "cacheCreationTokens", "costUSD", "turns"]
                .map { #""\#($0)":\#(number)"# }.joined(separator: ",")
            let marks = ["stdout", "stderr"].map { stream in
                #""\#(stream)":{"totalBytes":\#(number),"headBytes":\#(number),"tailBytes":\#(number),"sha256":\#(text)}"#
            }.joined(separator: ",")
            return
                #"{"outcome":"\#(outcome)","exitCode":\#(number),"durationMs":\#(number),"model":\#(text),\#(marks),"#
                + #""verdict":{"isError":false,"subtype":\#(text),"usage":{\#(tokens)}}}"#
        }
    }

    private mutating func frame(_ choice: UInt8) -> [UInt8] {
        let channel = UInt32(source.number(below: 4))
        let offset = source.byte() & 3 == 0 ? source.integer() : Int64(source.number(below: 64))
        let bytes = source.bytes(atMost: 40)[...]
        let frame: ChannelFrame =
            switch choice % 5 {
            case 0, 1: .data(channel: channel, offset: offset, bytes: bytes)
            case 2: .end(channel: channel, total: offset)
            case 3: .tail(channel: channel, offset: offset, bytes: bytes)
            default: .credit(channel: channel, limit: offset, durable: 0)
            }
        return frame.encoded()
    }

    private var number: String {
        mutating get { source.byte() & 1 == 0 ? "\(source.byte())" : source.pick(SchemaText.numbers) }
    }

    private var text: String {
        mutating get { JSONText.quoted(source.byte() & 1 == 0 ? source.pick(SchemaText.words) : "a") }
    }
}
