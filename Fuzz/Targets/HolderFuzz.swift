import HolderProtocol

/// The holder's socket, in both directions.
enum HolderFuzz {
    static func run(_ bytes: [UInt8]) {
        let cut = Cut(bytes)
        let (whole, pieces) = (read([cut.whole]), read(cut.pieces))
        Fuzz.check(whole == pieces, "whole: \(whole)\nin pieces: \(pieces)")
    }

    private static func read(_ pieces: [[UInt8]]) -> [String] {
        var buffer = FrameBuffer()
        var seen: [String] = []
        do throws(WireError) {
            for piece in pieces {
                piece.withUnsafeBytes { buffer.append($0) }
                while let frame = try buffer.next() { seen.append(understand(frame)) }
            }
        } catch {
            seen.append("\(error)")
        }
        return seen
    }

    private static func understand(_ frame: Frame) -> String {
        var seen = "\(frame.header)"
        if let request = try? Request(frame) {
            let again = cut(request.frame(number: frame.header.number)).flatMap { try? Request($0) }
            Fuzz.check(again == request, "\(request)\nbecame \(String(describing: again))")
            seen += " \(request)"
        }
        if let message = try? HolderMessage(frame) {
            let again = cut(message.frame).flatMap { try? HolderMessage($0) }
            Fuzz.check(again == message, "\(message)\nbecame \(String(describing: again))")
            seen += " \(message)"
        }
        return seen
    }

    private static func cut(_ bytes: [UInt8]) -> Frame? {
        var buffer = FrameBuffer()
        bytes.withUnsafeBytes { buffer.append($0) }
        return try? buffer.next()
    }
}
