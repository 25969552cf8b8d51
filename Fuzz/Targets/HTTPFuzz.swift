@testable import Transport

/// Requests on one connection, as the server reads them.
enum HTTPFuzz {
    final class Reader: HTTPParserDelegate {
        var seen: [String] = []
        var body: [UInt8] = []

        func parserReadHead(_ head: HTTPHead) -> HTTPParser.Verdict {
            let headers = head.headers
            let target = String(decoding: head.bytes[..<head.targetLength], as: UTF8.self)
            let fields = headers.map { "\($0.0): \($0.1)" }
            seen.append("\(head.method) \(target) \(fields) \(head.isUpgrade)")
            if let status = RequestRules.refusal(head, headers: headers, maximumBodyBytes: 4096) {
                return .refuse(status: status)
            }
            Fuzz.check(
                head.contentLength == nil || !headers.contains("transfer-encoding"),
                "a request with two lengths was accepted"
            )
            return head.isUpgrade ? .notUpgraded : .proceed
        }

        func parserReadBody(_ bytes: UnsafeRawBufferPointer) -> HTTPParser.Verdict {
            body.append(contentsOf: bytes)
            return .proceed
        }

        func parserReadMessage() {
            seen.append("body of \(body.count): \(body.reduce(0) { $0 &* 31 &+ Int($1) })")
            body = []
        }
    }

    static func run(_ bytes: [UInt8]) {
        let cut = Cut(bytes)
        let whole = read([cut.whole])
        let pieces = read(cut.pieces)
        Fuzz.check(whole == pieces, "whole: \(whole)\nin pieces: \(pieces)")
    }

    private static func read(_ pieces: [[UInt8]]) -> [String] {
        let reader = Reader()
        let parser = HTTPParser(.request, limits: .init(), delegate: reader)
        for piece in pieces {
            let failure = piece.withUnsafeBytes { buffer -> Int? in
                var rest = buffer
                while !rest.isEmpty {
                    switch parser.execute(rest) {
                    case .needsMore: return nil
                    case .messageEnded(let consumed):
                        Fuzz.check(consumed >= 0 && consumed <= rest.count, "\(consumed) of \(rest.count) consumed")
                        rest = UnsafeRawBufferPointer(rebasing: rest[consumed...])
                        parser.resume()
                    case .failed(let status, _): return status
                    }
                }
                return nil
            }
            if let failure { return reader.seen + ["failed \(failure)"] }
        }
        return reader.seen
    }

    static func target(_ bytes: [UInt8]) {
        let text = String(decoding: bytes, as: UTF8.self)
        for method in [HTTPMethod.get, .options] {
            guard let found = RequestRules.target(text, method: method) else { continue }
            Fuzz.check(found.path == "*" || found.path.hasPrefix("/"), "path \(found.path)")
        }
    }
}
