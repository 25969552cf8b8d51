import Base
import EventLoop
import Glibc
import Synchronization
import WorkerProtocol
import Workers

@testable import Server
@testable import Transport

/// The whole server in this process, with a database of its own. Its services do not run, so nothing that it is asked
/// for is started.
struct House: Sendable {
    struct Answer: Sendable {
        var status: Int
        /// Empty where it is a stream.
        var body: [UInt8]
        var isStream: Bool
    }

    private let loop: EventLoop
    private let door: FrontDoor
    private let core: ServerCore
    let key: String
    /// Of things that are there, by the name of the path's parameter.
    private(set) var ids: [String: String] = [:]

    private static let workerToken = "fuzz"

    static func build() -> House? {
        let root = getenv("BERTH_FUZZ_DATA").map { String(cString: $0) } ?? "/tmp"
        let path = "\(root)/berth-fuzz-\(getpid())"
        guard let loop = try? EventLoop() else { return nil }
        loop.start()
        let made = Outcome<House>()
        loop.spawn {
            do {
                made.set(.success(try await House(path, loop)))
            } catch {
                made.set(.failure(BerthError(wrapping: error)))
            }
        }
        switch made.wait(milliseconds: 30_000) {
        case .success(var house):
            house.furnish()
            return house
        case .failure(let error):
            Fuzz.check(false, "the server cannot be made: \(error)")
            return nil
        case nil: return nil
        }
    }

    private init(_ path: String, _ loop: EventLoop) async throws {
        let directory = DataDirectory(path: path)
        try directory.prepare()
        let log = Log(sink: SilentSink(), time: loop.time)
        let composition = try await Composition.make(
            try Configuration(file: nil, environment: [:], flags: ["data": path, "workerToken": Self.workerToken]),
            directory,
            loops: [loop],
            time: loop.time,
            log: log
        )
        self.loop = loop
        core = composition.core
        door = FrontDoor(server: composition.core, log: log, metrics: composition.core.metrics)
        key = try Self.text(of: directory.apiKeyPath)
    }

    private static func text(of path: String) throws -> String {
        let descriptor = open(path, O_RDONLY)
        guard descriptor >= 0 else { throw BerthError(errno: errno, "there is no key", code: .internal) }
        defer { close(descriptor) }
        var buffer = [UInt8](repeating: 0, count: 200)
        let count = read(descriptor, &buffer, buffer.count)
        return String(decoding: buffer.prefix(max(0, count)), as: UTF8.self).trimmed
    }

    private mutating func furnish() {
        for (name, path, body) in [
            ("executionId", "/v1/executions", #"{"command":["true"]}"#),
            ("environmentId", "/v1/environments", #"{"name":"there"}"#),
            ("repositoryId", "/v1/repositories", #"{"url":"https://example.org/a/b.git"}"#),
        ] {
            let asked = AskedRequest(method: "POST", path: path, body: Array(body.utf8), key: key)
            let answer = ask(asked, patience: 20_000)
            let id = answer.flatMap { try? JSONValue(parsing: $0.body) }?["id"]?.string
            Fuzz.check(id != nil, "no \(name): \(String(describing: answer))")
            ids[name] = id
        }
    }

    /// Plays a worker on a link of its own, from its first message to its end. Returns what prevented that.
    func play(_ script: @escaping @Sendable (WorkerLink, Ear) async -> Void) -> String? {
        let outcome = Outcome<Bool>()
        loop.spawn { [core] in
            do {
                guard let hub = core.hub.value else { throw BerthError(.internal, "there is no hub") }
                let identity = try await hub.tokens.authenticate(token: Secret(Self.workerToken))
                let ear = Ear()
                let link = core.workers.connect(identity, over: ear)
                await script(link, ear)
                await link.disconnected()
                outcome.set(.success(true))
            } catch {
                outcome.set(.failure(BerthError(wrapping: error)))
            }
        }
        switch outcome.wait(milliseconds: 15_000) {
        case .success: return nil
        case .failure(let error): return "\(error) \(error.detail ?? "")"
        case nil: return "it does not end"
        }
    }

    /// From within the loop: an execution for a worker that stands alone.
    func run(_ body: String) async {
        let answer = await answer(AskedRequest(method: "POST", path: "/api/execute", body: Array(body.utf8), key: key))
        Fuzz.check(answer.status == 202, "no execution: \(String(decoding: answer.body, as: UTF8.self))")
    }

    /// From within the loop: what is stored must be readable.
    func see(_ path: String) async {
        let answer = await answer(AskedRequest(method: "GET", path: path, key: key))
        let text = String(decoding: answer.body, as: UTF8.self)
        // A worker that states another digest than its bytes have makes them pass for damaged.
        Fuzz.check(answer.status == 200 || text.contains("output_damaged"), "\(path): \(answer.status) \(text)")
    }

    /// nil: never answered, not even once it was cancelled, which it is after `patience` milliseconds.
    func ask(_ asked: AskedRequest, patience: CInt = 200) -> Answer? {
        let outcome = Outcome<Answer>()
        let task = loop.spawn { [self] in outcome.set(.success(await answer(asked))) }
        if case .success(let answer)? = outcome.wait(milliseconds: patience) { return answer }
        task.cancel()
        if case .success(let answer)? = outcome.wait(milliseconds: 10_000) { return answer }
        return nil
    }

    private func answer(_ asked: AskedRequest) async -> Answer {
        let body = BodyBuffer(loop: loop)
        asked.body.withUnsafeBytes { body.append($0) }
        body.finish()
        let response = await door.handle(
            HTTPRequest(
                id: IDSource(time: loop.time, randomness: SystemRandomness()).make(),
                method: HTTPMethod(rawValue: asked.method),
                path: asked.path,
                rawQuery: asked.query,
                headers: HTTPHeaders(asked.headers),
                body: IncomingBody(body),
                peer: .unix(userID: nil, processID: nil),
                peerName: "unix:",
                isSecure: false,
                loop: loop,
                compresses: true
            )
        )
        guard case .bytes(let bytes) = response.body else {
            return Answer(status: response.status, body: [], isStream: true)
        }
        return Answer(status: response.status, body: bytes, isStream: false)
    }
}

/// What a worker hears.
final class Ear: LinkTransport {
    struct Heard: Sendable {
        /// The attempt that it was given last.
        var attempt: ServerMessage.Assign?
        var closeCode: UInt16?
        var reason = ""
    }

    private let state = Mutex(Heard())

    var heard: Heard { state.withLock { $0 } }

    func send(text: [UInt8]) async throws {
        guard let message = try MessageCodec.decode(ServerMessage.self, from: text) else {
            return Fuzz.check(false, "the server says \(String(decoding: text, as: UTF8.self))")
        }
        if case .assign(let assign) = message { state.withLock { $0.attempt = assign } }
    }

    func send(binary: [UInt8]) async throws { _ = try ChannelFrame(decoding: binary) }

    func answered(channel: UInt32, refusal: String?) async {}

    func close(code: UInt16, reason: String) async {
        state.withLock { heard in
            guard heard.closeCode == nil else { return }
            heard.closeCode = code
            heard.reason = reason
        }
    }
}

/// A result that a loop's task leaves for the thread that waits for it.
final class Outcome<Value: Sendable>: Sendable {
    private let result = Mutex<Result<Value, BerthError>?>(nil)
    private let bell: [CInt]

    init() {
        var ends: [CInt] = [-1, -1]
        Fuzz.check(pipe(&ends) == 0, "no pipe: \(errno)")
        bell = ends
    }

    deinit { for end in bell { close(end) } }

    func set(_ value: Result<Value, BerthError>) {
        result.withLock { $0 = value }
        var byte: UInt8 = 1
        _ = write(bell[1], &byte, 1)
    }

    func wait(milliseconds: CInt) -> Result<Value, BerthError>? {
        var entry = pollfd(fd: bell[0], events: Int16(POLLIN), revents: 0)
        // The fuzzer's own alarm interrupts it.
        while poll(&entry, 1, milliseconds) < 0, errno == EINTR {}
        return result.withLock { $0 }
    }
}
