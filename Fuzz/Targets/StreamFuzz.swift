import AgentProtocol
import Base
import Transport

/// Streams of lines: server-sent events and an agent's output.
enum StreamFuzz {
    static func events(_ bytes: [UInt8]) {
        let cut = Cut(bytes)
        let (whole, pieces) = (events([cut.whole]), events(cut.pieces))
        // A stream that is too large fails at a piece's end, so what came before it may differ.
        if let whole, let pieces { Fuzz.check(whole == pieces, "whole: \(whole)\nin pieces: \(pieces)") }
    }

    private static func events(_ pieces: [[UInt8]]) -> [ServerSentEvent]? {
        var parser = EventStreamParser(maximumEventBytes: 2000)
        var seen: [ServerSentEvent] = []
        do throws(BerthError) {
            for piece in pieces { seen += try parser.feed(piece) }
        } catch {
            return nil
        }
        return seen
    }

    static func agent(_ bytes: [UInt8]) {
        let cut = Cut(bytes)
        let (whole, pieces) = (agent([cut.whole]), agent(cut.pieces))
        Fuzz.check(whole == pieces, "whole: \(whole)\nin pieces: \(pieces)")
        var last: Int64 = 0
        for parsed in whole {
            Fuzz.check(parsed.endOffset >= last && parsed.endOffset <= cut.whole.count, "offset \(parsed.endOffset)")
            last = parsed.endOffset
        }
    }

    private static func agent(_ pieces: [[UInt8]]) -> [StreamJSONParser.Parsed] {
        var parser = StreamJSONParser(maximumLine: 2000)
        var seen: [StreamJSONParser.Parsed] = []
        for piece in pieces { seen += parser.feed(piece) }
        return seen + parser.finish()
    }
}
