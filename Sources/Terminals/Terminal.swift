public import Base
public import Domain
public import EventLoop
internal import Glibc
internal import HolderProtocol
public import OutputStore
public import Subprocess
public import WorkerProtocol

/// One terminal with its viewers. Its bytes go from the holder to the scrollback's files, and each viewer reads them there
/// at its own pace, so that a slow one holds up neither the program nor the others.
///
/// `@unchecked Sendable`: touched only on the worker's loop.
public final class Terminal: @unchecked Sendable {
    public private(set) var record: TerminalRecord
    public let scrollback: Scrollback
    private let times: TimeIndex
    private var viewers: [TerminalViewer] = []
    private var typedBytes: Int64 = 0
    private var state: State = .starting
    private let loop: EventLoop
    /// Input that the program has not taken, with whom it came from.
    private var input: [(bytes: ArraySlice<UInt8>, viewer: TerminalViewer)] = []
    private let inputCame: AsyncStream<Void>
    private let tellInput: AsyncStream<Void>.Continuation

    private enum State {
        case starting  // → live, ended
        /// Keeps the master open.
        case live(Descriptor, ChildDescriptors)  // → ended
        case ended
    }

    public init(_ record: TerminalRecord, scrollback: Scrollback, times: TimeIndex, loop: EventLoop) {
        self.record = record
        self.scrollback = scrollback
        self.times = times
        self.loop = loop
        if record.endedAt != nil { state = .ended }
        (inputCame, tellInput) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    public var hasEnded: Bool { if case .ended = state { true } else { false } }

    public var status: TerminalStatus {
        let kept = scrollback.kept
        return TerminalStatus(
            id: record.id,
            name: record.name,
            workspaceId: record.workspaceId,
            command: record.command,
            directory: record.directory,
            size: record.size,
            createdAt: record.createdAt,
            endedAt: record.endedAt,
            exit: record.exit,
            firstByte: kept.lowerBound,
            endByte: kept.upperBound,
            viewers: viewers.count
        )
    }

    /// Bytes both ways.
    public var traffic: Int64 { scrollback.kept.upperBound + typedBytes }

    // MARK: Viewers

    func add(_ viewer: TerminalViewer) { viewers.append(viewer) }

    func remove(_ viewer: TerminalViewer) {
        viewers.removeAll { $0 === viewer }
        input.removeAll { $0.viewer === viewer }
    }

    /// The size of the viewer that attached, resized or typed last is in force, for all of them.
    func adopt(_ size: TerminalSize) {
        guard size.isUsable, size != record.size, case .live(let watched, _) = state else { return }
        var window = winsize(ws_row: size.rows, ws_col: size.columns, ws_xpixel: 0, ws_ypixel: 0)
        // The kernel tells the program by SIGWINCH.
        guard ioctl(watched.fileDescriptor, UInt(TIOCSWINSZ), &window) == 0 else { return }
        record.size = size
        times.note(columns: size.columns, rows: size.rows, from: scrollback.kept.upperBound)
        for viewer in viewers { viewer.show(size) }
    }

    // MARK: Input

    func take(_ bytes: ArraySlice<UInt8>, from viewer: TerminalViewer) {
        guard !hasEnded else { return }
        input.append((bytes, viewer))
        typedBytes += Int64(bytes.count)
        // At once where nothing waits: a keystroke costs no change of tasks.
        if input.count == 1 { _ = try? writeInput() }
        if !input.isEmpty { tellInput.yield() }
    }

    /// Writes what the terminal takes now; false when something is left.
    private func writeInput() throws(BerthError) -> Bool {
        guard case .live(let watched, _) = state else { return input.isEmpty }
        while let (bytes, viewer) = input.first {
            let count = bytes.withUnsafeBytes { Glibc.write(watched.fileDescriptor, $0.baseAddress, $0.count) }
            if count < 0 {
                if errno == EINTR { continue }
                if errno == EAGAIN { return false }
                throw BerthError(.network, "the terminal takes no input", detail: String(cString: strerror(errno)))
            }
            if count == bytes.count { input.removeFirst() } else { input[0].bytes = bytes.dropFirst(count) }
            viewer.wrote(count)
        }
        return true
    }

    /// Passes on what did not fit at once; until the terminal has ended.
    public func feed(isolation: isolated (any Actor)? = #isolation) async throws {
        for await _ in inputCame {
            guard case .live(let watched, _) = state else { return }
            while try !writeInput() { try await watched.writable() }
        }
    }

    // MARK: Output

    /// Takes the program's output until nobody can write any more. Throws `disk_full`; the bytes then wait in the pipe.
    public func pump(_ child: Child, isolation: isolated (any Actor)? = #isolation) async throws {
        let descriptors = child.descriptors
        guard let master = descriptors[.terminal], let tunnelIn = descriptors[.tunnelIn],
            let tunnelOut = descriptors[.tunnelOut]
        else { throw BerthError(.internal, "the holder gave no terminal") }
        let watched: Descriptor
        if case .live(let known, _) = state {
            watched = known
        } else {
            watched = Descriptor(master, loop: loop)
            state = .live(watched, descriptors)
            if times.isEmpty { times.note(columns: record.size.columns, rows: record.size.rows, from: 0) }
        }
        while true {
            switch try scrollback.receive(fromTerminal: master, tunnelIn: tunnelIn, tunnelOut: tunnelOut) {
            case .moved:
                times.note(end: scrollback.kept.upperBound, at: loop.time.now)
                for viewer in viewers { viewer.pump() }
                try Task.checkCancellation()
                await Task.yield()
            case .empty: try await watched.readable()
            case .ended: return
            }
        }
    }

    /// Nothing comes any more.
    public func end(_ exit: TerminalExit, at moment: Timestamp, isolation: isolated (any Actor)? = #isolation) async {
        let before = state
        state = .ended
        record.exit = exit
        record.endedAt = moment
        input = []
        tellInput.finish()
        if case .live(let watched, _) = before { await watched.close() }
        for viewer in viewers { viewer.pump() }
    }

    /// The kept bytes with their times, as a recording.
    var recording: RecordingReader {
        RecordingReader(
            title: record.name,
            command: record.command.joined(separator: " "),
            size: (record.size.columns, record.size.rows),
            startedAt: record.createdAt,
            kept: scrollback.kept,
            entries: times.entries
        ) { [scrollback] offset, count in
            try scrollback.read(from: offset, upTo: count)
        }
    }

    /// Its bytes are about to go.
    public func dismiss() { for viewer in viewers { viewer.leave("the terminal was removed") } }
}
