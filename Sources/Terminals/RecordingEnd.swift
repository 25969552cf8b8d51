internal import Base
internal import OutputStore
public import Relay
internal import WorkspaceTypes

/// Sends a recording over a channel, as data of a ``BulkFrame`` stream, at the pace at which it is taken.
///
/// `@unchecked Sendable`: touched only on the link's loop, which is the worker's.
public final class RecordingEnd: ChannelEnd, @unchecked Sendable {
    private let channel: TCPChannel
    private var reader: RecordingReader
    private var waiting: ArraySlice<UInt8> = []
    /// Nothing follows what waits.
    private var isLast = false
    private var isOver = false

    public init(_ terminal: Terminal, _ channel: TCPChannel) {
        self.channel = channel
        reader = terminal.recording
    }

    public func begin() {
        channel.attach(self)
        mayGoOn()
    }

    public func mayGoOn() {
        while !isOver {
            if waiting.isEmpty {
                if isLast { return channel.endOutput() }
                fill()
            }
            let sent = waiting.withUnsafeBytes { channel.send($0) }
            waiting = waiting.dropFirst(sent)
            guard waiting.isEmpty else { return }
        }
    }

    private func fill() {
        let frame: BulkFrame
        do {
            let lines = try reader.next()
            frame = lines.map { .data($0[...]) } ?? .end([])
            isLast = lines == nil
        } catch {
            frame = .refusal(Array(#"{"code":"output_damaged","message":"the terminal's bytes cannot be read"}"#.utf8))
            isLast = true
        }
        waiting = frame.encoded()[...]
    }

    public func receive(_ bytes: UnsafeRawBufferPointer) {}
    public var unsentBytes: Int { 0 }
    public func receiveEnd() {}
    public func channelOver(_ ending: ChannelEnding) { isOver = true }
}
