@testable import Transport

/// Requests on one connection, as the server's parser and rules read them.
enum HTTPFuzz {
    final class Reader: HTTPParserDelegate {
        struct Request: Equatable {
            var method: String
            var target: String
            var fields: [String]
            var isUpgrade: Bool
            var body: [UInt8] = []
            var isComplete = false
        }

        var requests: [Request] = []

        func parserReadHead(_ head: HTTPHead) -> HTTPParser.Verdict {
            let headers = head.headers
            requests.append(
                Request(
                    method: RequestRules.method(head.method)?.rawValue ?? "",
                    target: String(decoding: head.bytes[..<head.targetLength], as: UTF8.self),
                    fields: headers.map { "\($0.0): \($0.1)" },
                    isUpgrade: head.isUpgrade
                )
            )
            if let refusal = RequestRules.refusal(head, headers: headers, maximumBodyBytes: 4096) {
                requests.removeLast()
                return .refuse(status: refusal.status)
            }
            Fuzz.check(
                head.contentLength == nil || !headers.contains("transfer-encoding"),
                "a request with two lengths was accepted"
            )
            return head.isUpgrade ? .notUpgraded : .proceed
        }

        func parserReadBody(_ bytes: UnsafeRawBufferPointer) -> HTTPParser.Verdict {
            requests[requests.count - 1].body += bytes
            return .proceed
        }

        func parserReadMessage() { requests[requests.count - 1].isComplete = true }
    }

    struct Reading: Equatable {
        var requests: [Reader.Request]
        var refusal: Int?

        /// Of two faults in one field the later one is seen first where the field comes in whole.
        static func == (left: Self, right: Self) -> Bool {
            let limits = [414, 431]
            let isSame =
                left.refusal == right.refusal
                || [left.refusal, right.refusal].contains { $0.map(limits.contains) == true } && left.refusal != nil
                    && right.refusal != nil
            return isSame && left.requests == right.requests
        }
    }

    static func run(_ bytes: [UInt8]) {
        let cut = Cut(bytes)
        let whole = read([cut.whole])
        let pieces = read(cut.pieces)
        Fuzz.check(whole == pieces, "whole: \(whole)\nin pieces: \(pieces)")
        compare(whole, ReferenceHTTP.messages(cut.whole))
    }

    /// The same messages with the same bounds as by the grammar, as far as the parser accepts them.
    private static func compare(_ reading: Reading, _ messages: [ReferenceHTTP.Message]) {
        for (index, request) in reading.requests.enumerated() {
            guard index < messages.count else {
                Fuzz.check(!request.isComplete, "accepted against the grammar: \(request)")
                return
            }
            let message = messages[index]
            let isCutOff = reading.refusal != nil && !request.isComplete
            let fields = message.fields.map { "\(text($0.name)): \(text($0.value))" }
            Fuzz.check(
                request.method == text(message.method) && request.target == text(message.target)
                    && request.fields == fields
                    && (isCutOff || request.isComplete == message.isComplete)
                    && (isCutOff || !message.isComplete || request.body == message.body),
                "\(request)\nis by the grammar \(message)"
            )
        }
    }

    private static func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

    private static func read(_ pieces: [[UInt8]]) -> Reading {
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
            if let failure { return Reading(requests: reader.requests, refusal: failure) }
        }
        return Reading(requests: reader.requests)
    }

    static func target(_ bytes: [UInt8]) {
        let text = String(decoding: bytes, as: UTF8.self)
        for method in [HTTPMethod.get, .options] {
            guard let found = RequestRules.target(text, method: method) else { continue }
            Fuzz.check(found.path == "*" || found.path.hasPrefix("/"), "path \(found.path)")
        }
    }
}
