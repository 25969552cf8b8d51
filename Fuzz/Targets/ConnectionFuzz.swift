import Base
import Glibc

@testable import EventLoop
@testable import Transport

/// Whole connections of a server, over a socket pair and on a loop whose turns are taken here, so that every run is the
/// same: parsing, rules, handlers, framing of answers, upgrade and WebSocket. However the bytes are cut, the answers are
/// the same, and nothing of the connection is left behind.
enum ConnectionFuzz {
    static func run(_ bytes: [UInt8]) {
        let cut = Cut(bytes)
        guard let ground else { return Fuzz.check(false, "there is no loop") }
        let isProxy = bytes.first.map { $0 & 0x80 != 0 } ?? false
        let whole = ground.converse([cut.whole], isProxy: isProxy)
        let pieces = ground.converse(cut.pieces, isProxy: isProxy)
        if whole.isRepeatable, pieces.isRepeatable {
            Fuzz.check(
                whole.answers == pieces.answers && whole.requests == pieces.requests,
                "whole: \(whole)\nin pieces: \(pieces)"
            )
        } else {
            // An answer before the request's end closes the connection where the bytes are cut.
            let count = min(whole.requests.count, pieces.requests.count)
            Fuzz.check(whole.requests.prefix(count) == pieces.requests.prefix(count), "\(whole)\nin pieces: \(pieces)")
        }
    }

    private static let ground = try? Ground()
}

struct Conversation: CustomStringConvertible {
    /// As the handlers saw them.
    var requests: [String] = []
    /// Without dates, and without "100 Continue": whether that is sent depends on whether the body is there already.
    var answers = ""
    var isRepeatable = true

    var description: String { "requests \(requests), answers \(answers.debugDescription)" }
}

/// Where conversations take place.
///
/// `@unchecked Sendable`: everything happens on the one thread that is also the loop's.
final class Ground: @unchecked Sendable {
    private let loop: EventLoop
    private let place: ServerPlace
    private var server: HTTPServer?
    private var current = Conversation()

    init() throws {
        loop = try EventLoop()
        loop.adoptThread()
        place = ServerPlace(loop: loop)
        var configuration = HTTPServerConfiguration()
        configuration.maximumHeadBytes = 1024
        configuration.maximumTargetBytes = 256
        configuration.maximumFields = 20
        configuration.maximumBodyBytes = 1500
        configuration.webSocket.maximumMessageBytes = 700
        configuration.webSocket.pingInterval = nil
        server = HTTPServer(
            loops: [loop],
            configuration: configuration,
            ids: IDSource(time: SystemTime(), randomness: SeededRandomness(seed: 1)),
            log: Log(sink: SilentSink(), time: SystemTime())
        ) { [unowned self] in try await answer($0) }
        // The first deadline makes the loop's timer, which stays.
        _ = converse([Array("GET / HTTP/1.1\r\nhost: a\r\n\r\n".utf8)], isProxy: false)
    }

    func converse(_ pieces: [[UInt8]], isProxy: Bool) -> Conversation {
        current = Conversation()
        var ends: [CInt] = [-1, -1]
        guard let server, socketpair(AF_UNIX, CInt(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue), 0, &ends) == 0,
            let socket = try? Socket(adopting: ends[0], loop: loop)
        else {
            Fuzz.check(false, "no socket: \(errno)")
            return current
        }
        let connection = ServerConnection(
            stream: ByteStream(socket),
            peer: .unix(userID: nil, processID: nil),
            isProxy: isProxy,
            group: nil,
            server: server,
            place: place
        )
        place.connections[ObjectIdentifier(connection)] = connection
        _ = server.counts.admit(nil, limit: 1000, groupLimit: 1000)
        connection.start(refusing: nil)
        var answers: [UInt8] = []
        for piece in pieces { say(piece, to: ends, &answers) }
        settle(ends, &answers)
        close(ends[1])
        for _ in 0..<8 where !place.connections.isEmpty { loop.turn(mayWait: false) }
        let isGone = place.connections.isEmpty && server.counts.count == 0
        Fuzz.check(isGone, "the connection outlives its peer after \(current)")
        current.answers = Self.repeatable(answers)
        return current
    }

    private func say(_ piece: [UInt8], to ends: [CInt], _ answers: inout [UInt8]) {
        var rest = piece[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { send(ends[1], $0.baseAddress, $0.count, CInt(MSG_NOSIGNAL)) }
            if count > 0 { rest = rest.dropFirst(count) }
            let isGone = count < 0 && errno != EAGAIN
            settle(ends, &answers)
            if isGone { return }
        }
    }

    /// Turns of the loop until the server has read what it wants and nothing more comes from it.
    private func settle(_ ends: [CInt], _ answers: inout [UInt8]) {
        var quiet = 0
        var turns = 0
        while quiet < 3 {
            turns += 1
            Fuzz.check(turns < 10_000, "the loop does not come to rest")
            loop.turn(mayWait: false)
            quiet = read(ends[1], &answers) ? 0 : quiet + 1
        }
    }

    private func read(_ descriptor: CInt, _ answers: inout [UInt8]) -> Bool {
        var buffer = [UInt8](repeating: 0, count: 16384)
        let count = recv(descriptor, &buffer, buffer.count, 0)
        guard count > 0 else { return false }
        answers += buffer.prefix(count)
        return true
    }

    private static func repeatable(_ answers: [UInt8]) -> String {
        String(decoding: answers, as: UTF8.self).replacing("HTTP/1.1 100 Continue\r\n\r\n", with: "")
            // Of two faults in one field the later one is seen first where the field comes in whole.
            .replacing("414 URI Too Long", with: "400 Bad Request")
            .replacing("431 Request Header Fields Too Large", with: "400 Bad Request")
            .split(separator: "\r\n", omittingEmptySubsequences: false)
            .filter { !$0.hasPrefix("date: ") }.joined(separator: "\n")
    }

    // MARK: Handlers

    private func answer(_ request: HTTPRequest) async throws -> HTTPResponse {
        let line = "\(request.method) \(request.path) \(request.rawQuery)"
        current.requests.append("\(line) \(request.headers.map { $0 }) \(request.peer)")
        if request.path == "/early" {
            current.isRepeatable = false
            return .text("early")
        }
        let body: [UInt8]
        do {
            body = try await request.body.collect(upTo: 1 << 20)
        } catch {
            current.requests.append("\(BerthError(wrapping: error).code)")
            throw error
        }
        current.requests.append("body of \(body.count): \(body.reduce(0) { $0 &* 31 &+ Int($1) })")
        switch request.path {
        case "/chunks":
            return HTTPResponse(
                body: .stream(length: nil) { writer in
                    for start in stride(from: 0, to: body.count, by: 100) {
                        try await writer.write(Array(body[start..<min(start + 100, body.count)]))
                    }
                }
            )
        case "/events":
            return HTTPResponse(
                body: .events { writer in
                    try await writer.send(event: "one", data: String(decoding: body, as: UTF8.self))
                    try await writer.send(id: "2", data: "two")
                }
            )
        case "/refusal": throw BerthError(.conflict, String(decoding: body, as: UTF8.self))
        case "/text":
            // Long enough to be compressed, and with something for conditions to meet.
            var response = HTTPResponse.text(String(repeating: "text ", count: 300 + body.count))
            response.headers.add("etag", "\"a\"")
            return response
        case "/nothing": return HTTPResponse(status: 204)
        case "/socket":
            return HTTPResponse(
                status: 101,
                body: .webSocket(subprotocol: nil) { [self] socket in
                    // Not answered: whether an answer comes before the peer's close depends on the cut.
                    while let message = try await socket.receive() { current.requests.append("\(message)") }
                }
            )
        default: return HTTPResponse(headers: ["content-type": "application/octet-stream"], body: .bytes(body))
        }
    }
}
