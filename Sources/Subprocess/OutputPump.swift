internal import Base
public import EventLoop
public import OutputStore

/// Where a child's bytes come from.
public struct OutputSource: Sendable {
    enum Kind {
        case pipe(Int32)
        case terminal(master: Int32, tunnelIn: Int32, tunnelOut: Int32)
    }

    let kind: Kind
    /// Keeps the descriptors open for as long as someone may read from them.
    private let owner: ChildDescriptors?

    init(_ kind: Kind, owner: ChildDescriptors?) {
        self.kind = kind
        self.owner = owner
    }

    /// A pipe that stays its caller's and open until the pump has returned.
    public static func pipe(_ descriptor: Int32) -> OutputSource { OutputSource(.pipe(descriptor), owner: nil) }
}

/// Moves one stream's bytes from where the holder keeps them to the spool's files, never through this process, so that
/// it may be killed at any moment. Reading files back for the digest is off the loop.
public struct OutputPump: Sendable {
    private let source: OutputSource
    private let spool: Spool
    private let loop: EventLoop

    public init(source: OutputSource, spool: Spool, loop: EventLoop) {
        self.source = source
        self.spool = spool
        self.loop = loop
    }

    /// Runs until the process and all who hold its stream have closed it, and returns the stream's mark. Cancelled, it
    /// leaves everything as it is: a later pump goes on. Throws `disk_full`; the bytes then wait in the pipe.
    @concurrent
    public func run() async throws -> OutputMark {
        let watched = Descriptor(watchedDescriptor, loop: loop)
        do {
            let mark = try await pump(watched)
            await watched.close()
            return mark
        } catch {
            await watched.close()
            throw error
        }
    }

    private var watchedDescriptor: Int32 {
        switch source.kind {
        case .pipe(let pipe): pipe
        case .terminal(let master, _, _): master
        }
    }

    @concurrent
    private func pump(_ watched: Descriptor) async throws -> OutputMark {
        while true {
            switch try take() {
            case .moved:
                try Task.checkCancellation()
                await Task.yield()
            case .empty: try await watched.readable()
            case .ended: return try spool.finish()
            }
        }
    }

    private func take() throws -> SpoolIntake {
        switch source.kind {
        case .pipe(let pipe): try spool.receive(fromPipe: pipe)
        case .terminal(let master, let tunnelIn, let tunnelOut):
            try spool.receive(fromTerminal: master, tunnelIn: tunnelIn, tunnelOut: tunnelOut)
        }
    }
}
