internal import Base
internal import Domain
public import EventLoop
internal import OutputStore
public import Relay
public import WorkerProtocol

/// Somebody who looks at a terminal: the worker's end of a channel of ``TerminalFrame``s.
///
/// `@unchecked Sendable`: touched only on the link's loop, which is the worker's.
public final class TerminalViewer: ChannelEnd, @unchecked Sendable {
    private let channel: TCPChannel
    private let terminal: Terminal
    private let loop: EventLoop
    private let isReadOnly: Bool
    /// Where a snapshot ends; nil follows the terminal.
    private let lastByte: Int64?
    /// The next byte to send.
    private var offset: Int64
    private var size: TerminalSize?
    private var parser = TerminalFrame.Parser()
    /// Encoded and not taken by the channel yet.
    private var waiting: ArraySlice<UInt8> = []
    /// Input that the program has not taken.
    private var unwritten = 0
    private var hasEnded = false
    private var isOver = false

    /// What is read and sent in one turn of the loop: others have theirs in between.
    private static let turnBytes = 256 << 10

    public init(_ attachment: TerminalAttachment, _ terminal: Terminal, _ channel: TCPChannel, loop: EventLoop) {
        self.channel = channel
        self.terminal = terminal
        self.loop = loop
        isReadOnly = attachment.isReadOnly ?? false
        size = attachment.size
        let kept = terminal.scrollback.kept
        offset =
            attachment.offset < 0
            ? max(kept.lowerBound, kept.upperBound + attachment.offset) : min(attachment.offset, kept.upperBound)
        lastByte = attachment.isSnapshot == true ? kept.upperBound : nil
    }

    public func begin() {
        terminal.add(self)
        channel.attach(self)
        if let size, !isReadOnly { terminal.adopt(size) }
        send(.size(terminal.record.size))
        pump()
    }

    // MARK: To the viewer

    func show(_ size: TerminalSize) { send(.size(size)) }

    /// Sends what there is, as far as the channel takes it.
    func pump() {
        var sent = 0
        while waiting.isEmpty, !hasEnded, !isOver {
            guard sent < Self.turnBytes else {
                // The terminal holds the viewer no longer than it wants to be told.
                return loop.post { [weak self] in self?.pump() }
            }
            let limit = TerminalFrame.maximumPayload - 8
            let room = lastByte.map { Int(clamping: max(0, min($0 - offset, Int64(limit)))) } ?? limit
            let (start, bytes): (Int64, [UInt8])
            do {
                (start, bytes) = room == 0 ? (offset, []) : try terminal.scrollback.read(from: offset, upTo: room)
            } catch {
                return leave(error.message)
            }
            if bytes.isEmpty { return finishIfDone() }
            if start > offset { send(.gap(offset..<start)) }
            offset = start + Int64(bytes.count)
            sent += bytes.count
            send(.data(offset: start, bytes: bytes[...]))
        }
    }

    private func finishIfDone() {
        guard terminal.hasEnded || lastByte.map({ offset >= $0 }) == true else { return }
        hasEnded = true
        if let exit = terminal.record.exit, lastByte == nil { send(.end(exit)) }
        if waiting.isEmpty { channel.endOutput() }
    }

    private func send(_ frame: TerminalFrame) {
        guard !isOver else { return }
        let bytes = frame.encoded()
        guard waiting.isEmpty else { return waiting.append(contentsOf: bytes) }
        let sent = bytes.withUnsafeBytes { channel.send($0) }
        if sent < bytes.count { waiting = bytes[sent...] }
    }

    public func mayGoOn() {
        guard !waiting.isEmpty else { return pump() }
        let sent = waiting.withUnsafeBytes { channel.send($0) }
        waiting = sent == waiting.count ? [] : waiting.dropFirst(sent)
        guard waiting.isEmpty else { return }
        if hasEnded { channel.endOutput() } else { pump() }
    }

    func leave(_ reason: String) {
        guard !isOver else { return }
        isOver = true
        terminal.remove(self)
        channel.reset(reason)
    }

    // MARK: From the viewer

    public func receive(_ bytes: UnsafeRawBufferPointer) {
        parser.append(bytes)
        do {
            while let frame = try parser.next() { take(frame) }
        } catch {
            leave(error.message)
        }
    }

    private func take(_ frame: TerminalFrame) {
        guard !isReadOnly, !isOver else { return }
        switch frame {
        case .input(let bytes):
            guard !bytes.isEmpty else { return }
            if let size { terminal.adopt(size) }
            unwritten += bytes.count
            terminal.take(bytes, from: self)
        case .size(let wanted):
            guard wanted.isUsable else { return leave("a size of \(wanted.columns)×\(wanted.rows) is none") }
            size = wanted
            terminal.adopt(wanted)
        case .data, .end, .gap: leave("a viewer sends input and sizes, nothing else")
        }
    }

    public var unsentBytes: Int { unwritten }

    /// The program has taken so much of this viewer's input.
    func wrote(_ count: Int) {
        unwritten -= count
        channel.progressed()
    }

    /// Somebody who types no more may still look on.
    public func receiveEnd() {}

    public func channelOver(_ ending: ChannelEnding) {
        isOver = true
        terminal.remove(self)
    }
}
