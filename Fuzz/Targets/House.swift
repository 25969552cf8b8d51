import Base
import EventLoop
import Glibc
import Synchronization

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
    let key: String
    /// Of things that are there, by the name of the path's parameter.
    private(set) var ids: [String: String] = [:]

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
            try Configuration(file: nil, environment: [:], flags: ["data": path, "workerToken": "fuzz"]),
            directory,
            loops: [loop],
            time: loop.time,
            log: log
        )
        self.loop = loop
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
            let answer = ask(AskedRequest(method: "POST", path: path, body: Array(body.utf8), key: key))
            let id = answer.flatMap { try? JSONValue(parsing: $0.body) }?["id"]?.string
            Fuzz.check(id != nil, "no \(name): \(String(describing: answer))")
            ids[name] = id
        }
    }

    /// nil: never answered, not even once it was cancelled.
    func ask(_ asked: AskedRequest) -> Answer? {
        let outcome = Outcome<Answer>()
        let task = loop.spawn { [self] in
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
            var answer = Answer(status: response.status, body: [], isStream: true)
            if case .bytes(let bytes) = response.body {
                answer = .init(status: response.status, body: bytes, isStream: false)
            }
            outcome.set(.success(answer))
        }
        if case .success(let answer)? = outcome.wait(milliseconds: 200) { return answer }
        task.cancel()
        if case .success(let answer)? = outcome.wait(milliseconds: 10_000) { return answer }
        return nil
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
        poll(&entry, 1, milliseconds)
        return result.withLock { $0 }
    }
}
