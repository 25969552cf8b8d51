internal import AgentSessions
internal import Base
internal import Domain
internal import EventLoop
internal import HolderProtocol
internal import OutputStore
internal import SessionHost
internal import Subprocess
internal import WorkerProtocol

// One thing after the other, for each session.
extension AgentSessionHouse {
    /// How long a step waits for room on the disk before it tries again.
    private static let roomPause = Duration.milliseconds(200)
    /// The piece of output that one step reads.
    private static let stepBytes = 256 << 10

    func serve(_ session: LiveSession) async {
        for await input in session.inbox {
            guard !Task.isCancelled else { return }
            await take(input, session)
        }
    }

    private func take(_ input: SessionInput, _ session: LiveSession) async {
        switch input {
        case .deed(let deed, let done):
            var machine = SessionMachine(session.record, now: services.time.now)
            do {
                try deed(&machine)
                try await commit(&machine, session)
            } catch {
                return done(error)
            }
            await carryOut(machine.effects, session)
            done(nil)
        case .step(let body): await step(session, body)
        case .output(let run): await read(session, run)
        case .exit(let run, let exit): await end(session, run, exit)
        }
    }

    /// What the agent or the clock does has to be stored; what a person does may be refused.
    private func step(_ session: LiveSession, _ body: (inout SessionMachine) -> Void) async {
        while !Task.isCancelled {
            var machine = SessionMachine(session.record, now: services.time.now)
            body(&machine)
            do {
                try await commit(&machine, session)
                return await carryOut(machine.effects, session)
            } catch {
                services.log.error("step of a session not stored", ["session": session.record.id, "error": "\(error)"])
                services.reserve.release()
                guard (try? await services.time.wait(for: Self.roomPause)) != nil else { return }
            }
        }
    }

    private func commit(_ machine: inout SessionMachine, _ session: LiveSession) async throws {
        machine.finish()
        let events = try machine.events.map { event in
            LoggedEvent(seq: event.seq, json: String(decoding: try JSONText.encode(event), as: UTF8.self))
        }
        try await services.store.commit(machine.record, events)
        session.take(machine.record, events)
        await bound(session, adding: events)
    }

    private func carryOut(_ effects: [SessionEffect], _ session: LiveSession) async {
        for effect in effects {
            switch effect {
            case .start: await start(session)
            case .write: session.files?.noteOutbox()
            case .terminate(let grace):
                try? await services.holder.terminate(session.record.child, grace: grace)
            }
        }
    }

    // MARK: Process

    private func start(_ session: LiveSession) async {
        let record = session.record
        do {
            let launch = try record.codec.codec.launch(record.context, message: record.turn?.message.text)
            let own = try await services.files.variables(of: record.workspaceId)
            let request = SessionLaunchRequest(record, launch, own: own, layout: services.layout)
            session.files = try SessionFiles(run: record.run, directory: directory(of: record.id))
            do {
                let child = try await request.start(services)
                later { [self] in await watch(session, record.run, child) }
            } catch {
                throw request.explained(BerthError(wrapping: error))
            }
        } catch {
            let error = BerthError(wrapping: error)
            session.files?.remove()
            session.files = nil
            await step(session) { $0.didNotStart(error) }
        }
    }

    /// From a process's start, or this worker's, to its end.
    func watch(_ session: LiveSession, _ run: Int, _ known: Child? = nil) async {
        let name = "\(session.record.id):\(run)"
        guard let files = session.files else { return }
        do {
            let child = if let known { known } else { try await services.holder.child(name) }
            let writer = try child.descriptors[.input].map { try InputWriter($0, loop: services.loop) }
            try await withThrowingDiscardingTaskGroup { group in
                group.addTask { try? await self.drain(child.descriptors[.error], of: child, into: files) }
                if let writer { group.addTask { try? await self.write(session, files, writer) } }
                try await pump(session, child, files)
                group.cancelAll()
            }
            await writer?.close()
            let exit = try await services.holder.exit(of: name)
            session.put(.exit(run: run, AgentExit(exit.cause)))
        } catch is CancellationError {
            return
        } catch {
            guard !Task.isCancelled else { return }
            services.log.error("agent of a session lost", ["session": session.record.id, "error": "\(error)"])
            try? await services.holder.terminate(name, grace: .zero)
            session.put(.exit(run: run, .lost))
        }
    }

    private func drain(_ pipe: Int32?, of child: Child, into files: SessionFiles) async throws {
        guard let pipe else { return }
        let watched = Descriptor(pipe, loop: services.loop)
        defer { watched.closeSoon() }
        while true {
            switch try files.errors.receive(fromPipe: pipe) {
            case .moved: await Task.yield()
            case .empty: try await watched.readable()
            case .ended: return
            }
        }
    }

    /// Unread bytes beyond which the agent waits for us.
    private static let longestBacklog: Int64 = 32 << 20

    private func pump(_ session: LiveSession, _ child: Child, _ files: SessionFiles) async throws {
        guard let pipe = child.descriptors[.output] else {
            throw BerthError(.internal, "the holder gave no output of a session's agent")
        }
        let watched = Descriptor(pipe, loop: services.loop)
        defer { watched.closeSoon() }
        var reads = files.outputRead.makeAsyncIterator()
        while true {
            while files.output.kept.upperBound - session.record.cursor > Self.longestBacklog {
                guard await reads.next() != nil else { throw CancellationError() }
            }
            do {
                switch try files.output.receive(fromPipe: pipe) {
                case .moved:
                    session.put(.output(run: files.run))
                    try Task.checkCancellation()
                    await Task.yield()
                case .empty: try await watched.readable()
                case .ended: return
                }
            } catch let error as BerthError where error.code == .diskFull {
                services.reserve.release()
                try await services.time.wait(for: Self.roomPause)
            }
        }
    }

    /// Writes the outbox, in order, as the agent takes it.
    private func write(_ session: LiveSession, _ files: SessionFiles, _ writer: InputWriter) async throws {
        // Something may be there before anybody was told.
        files.noteOutbox()
        for await _ in files.outboxFilled {
            while let line = session.record.outbox.first(where: { $0.number > files.written }) {
                try await writer.write(Array(line.text.utf8) + [UInt8(ascii: "\n")])
                files.written = line.number
                session.put(.step { $0.wrote(upTo: line.number) })
            }
        }
    }

    // MARK: Output

    private func read(_ session: LiveSession, _ run: Int) async {
        guard let files = session.files, files.run == run, session.record.run == run else { return }
        // A later word of the same output may be late: everything is read with the first.
        while await readPiece(session, files) {}
        files.noteRead()
    }

    /// Returns false when no whole line is left.
    private func readPiece(_ session: LiveSession, _ files: SessionFiles) async -> Bool {
        let cursor = session.record.cursor
        var size = Self.stepBytes
        while !Task.isCancelled {
            guard let (start, bytes) = try? files.output.read(from: cursor, upTo: size), !bytes.isEmpty else {
                return false
            }
            guard let end = bytes.lastIndex(of: UInt8(ascii: "\n")) else {
                if bytes.count < size { return false }
                guard size >= AgentSessionLimits.lineBytes else {
                    size *= 2
                    continue
                }
                files.isPassingOver = true
                let next = start + Int64(bytes.count)
                await step(session) { $0.passOver(Int64(bytes.count), upTo: next) }
                return true
            }
            var lines = bytes[...end].split(separator: UInt8(ascii: "\n")).map { Array($0) }
            if files.isPassingOver {
                files.isPassingOver = false
                // Its rest goes the way of its beginning.
                if bytes.first != UInt8(ascii: "\n"), !lines.isEmpty { lines.removeFirst() }
            }
            let next = start + Int64(end) + 1
            await step(session) { $0.read(lines, upTo: next) }
            return true
        }
        return false
    }

    private func end(_ session: LiveSession, _ run: Int, _ exit: AgentExit) async {
        guard session.record.run == run, session.record.process != .none else { return }
        let name = session.record.child
        let files = session.files
        await read(session, run)
        // What it wrote last need not end in a newline.
        if let files, let (start, rest) = try? files.output.read(from: session.record.cursor, upTo: Self.stepBytes),
            !rest.isEmpty, !files.isPassingOver
        {
            await step(session) { $0.read([rest], upTo: start + Int64(rest.count)) }
        }
        session.files = nil
        await step(session) { $0.ended(exit, errors: files?.lastErrors ?? "") }
        files?.remove()
        try? await services.holder.forget(name)
    }
}

extension AgentExit {
    init(_ cause: Exit.Cause) {
        switch cause {
        case .code(let code): self = .code(code)
        case .signal(let signal): self = .signal(signal)
        case .lost: self = .lost
        }
    }
}
