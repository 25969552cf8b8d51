@testable import Transport

/// Answers of a server, as the client's parser reads them.
enum ResponseFuzz {
    final class Reader: HTTPParserDelegate {
        let isHead: Bool
        var seen: [String] = []
        var body: [UInt8] = []
        var isUpgraded = false

        init(isHead: Bool) { self.isHead = isHead }

        func parserReadHead(_ head: HTTPHead) -> HTTPParser.Verdict {
            seen.append("\(head.status) \(head.headers.map { "\($0.0): \($0.1)" }) \(head.keepsAlive)")
            if head.status == 101 {
                isUpgraded = true
                return .proceed
            }
            return head.status < 200 || isHead ? .noBody : .notUpgraded
        }

        func parserReadBody(_ bytes: UnsafeRawBufferPointer) -> HTTPParser.Verdict {
            body += bytes
            return .proceed
        }

        func parserReadMessage() { endBody() }

        func endBody() {
            seen.append("body of \(body.count): \(body.reduce(0) { $0 &* 31 &+ Int($1) })")
            body = []
        }
    }

    static func run(_ bytes: [UInt8]) {
        let isHead = bytes.first.map { $0 & 0x80 != 0 } ?? false
        let cut = Cut(bytes)
        let whole = read([cut.whole], isHead: isHead)
        let pieces = read(cut.pieces, isHead: isHead)
        Fuzz.check(whole == pieces, "whole: \(whole)\nin pieces: \(pieces)")
    }

    private static func read(_ pieces: [[UInt8]], isHead: Bool) -> [String] {
        let reader = Reader(isHead: isHead)
        let parser = HTTPParser(.response, limits: .init(), delegate: reader)
        for piece in pieces {
            let hasFailed = piece.withUnsafeBytes { buffer -> Bool in
                var rest = buffer
                while !rest.isEmpty, !reader.isUpgraded || reader.seen.count == 1 {
                    switch parser.execute(rest) {
                    case .needsMore: return false
                    case .messageEnded(let consumed):
                        Fuzz.check(consumed >= 0 && consumed <= rest.count, "\(consumed) of \(rest.count) consumed")
                        rest = UnsafeRawBufferPointer(rebasing: rest[consumed...])
                        if reader.isUpgraded { return true }
                        parser.resume()
                    case .failed: return true
                    }
                }
                return false
            }
            if hasFailed { return reader.seen + ["the end, \(reader.body.count) bytes of a body before it"] }
        }
        reader.endBody()
        return reader.seen + ["complete: \(parser.finish())"]
    }
}
