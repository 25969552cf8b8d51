import Holder
import HolderProtocol
import Testing

/// The machine behind a reference, so that expectations can name what its changes return.
private final class Subject {
    var machine = HolderMachine(holderPID: 1)

    var statuses: [ChildStatus] { machine.statuses }
    func handle(_ request: Request, from inquiry: Inquiry, nowMs: Int64) -> [HolderAction] {
        machine.handle(request, from: inquiry, nowMs: nowMs)
    }
    func guardian(of id: String, reports report: GuardianReport) -> [HolderAction] {
        machine.guardian(of: id, reports: report)
    }
    func stop(graceMs: Int32) -> [HolderAction] { machine.stop(graceMs: graceMs) }
}

@Suite struct HolderMachineTests {
    private let inquiry = Inquiry(connection: 1, number: 1)
    private let exit = Exit(cause: .code(0), userMs: 0, systemMs: 0, maxResidentBytes: 0, hasLeftovers: false)
    private let request = SpawnRequest(id: "a:1", arguments: ["/bin/true"])

    private func running() -> Subject {
        let machine = Subject()
        _ = machine.handle(.spawn(request), from: inquiry, nowMs: 5)
        _ = machine.guardian(of: "a:1", reports: .started(pid: 9))
        return machine
    }

    @Test func `a spawn sent twice before it has started is launched once and answered twice`() {
        let machine = Subject()
        let second = Inquiry(connection: 2, number: 1)
        #expect(machine.handle(.spawn(request), from: inquiry, nowMs: 5) == [.launch(request)])
        #expect(machine.handle(.spawn(request), from: second, nowMs: 6) == [])
        let status = ChildStatus(id: "a:1", isTerminal: false, state: .running(pid: 9), startedAtMs: 5)
        #expect(
            machine.guardian(of: "a:1", reports: .started(pid: 9))
                == [.replyWithDescriptors(status, to: inquiry), .replyWithDescriptors(status, to: second)]
        )
    }

    @Test func `a failed start leaves no child and can be tried again`() {
        let machine = Subject()
        _ = machine.handle(.spawn(request), from: inquiry, nowMs: 5)
        let actions = machine.guardian(of: "a:1", reports: .failed(step: .execute, errno: 2))
        #expect(actions.first == .abandon(id: "a:1"))
        #expect(machine.statuses.isEmpty)
        #expect(machine.guardian(of: "a:1", reports: .closed) == [])
        #expect(machine.handle(.spawn(request), from: inquiry, nowMs: 7) == [.launch(request)])
    }

    @Test func `a child forgotten before its guardian is gone stays reachable for nobody`() {
        let machine = running()
        _ = machine.guardian(of: "a:1", reports: .exited(exit))
        #expect(
            machine.handle(.forget(id: "a:1"), from: inquiry, nowMs: 8)
                == [.closeDescriptors(id: "a:1"), .reply(.done, to: inquiry)]
        )
        #expect(machine.statuses.isEmpty)
        #expect(machine.guardian(of: "a:1", reports: .closed) == [])
        #expect(machine.handle(.spawn(request), from: inquiry, nowMs: 9) == [.launch(request)])
    }

    @Test func `a guardian that dies silently makes its child lost and its strays killed`() {
        let machine = running()
        let actions = machine.guardian(of: "a:1", reports: .closed)
        #expect(actions.first == .killStrays)
        guard case .exited(let exit)? = machine.statuses.first?.state else { return #expect(Bool(false)) }
        #expect(exit.cause == .lost)
    }

    @Test func `stopping ends every tree before the holder`() {
        let machine = running()
        #expect(machine.stop(graceMs: 100) == [.order(id: "a:1", .terminate(graceMs: 100))])
        let refused = machine.handle(
            .spawn(SpawnRequest(id: "b:1", arguments: ["/bin/true"])),
            from: inquiry,
            nowMs: 6
        )
        guard case .reply(.failure(let failure), _)? = refused.first else { return #expect(Bool(false)) }
        #expect(failure.code == .stopping)
        _ = machine.guardian(of: "a:1", reports: .exited(exit))
        #expect(machine.guardian(of: "a:1", reports: .closed) == [.finish])
        let idle = Subject()
        #expect(idle.stop(graceMs: 100) == [.finish])
    }

    @Test func `a foreign version is refused`() {
        let machine = Subject()
        guard
            case .reply(.failure(let failure), _)? = machine.handle(.hello(version: 99), from: inquiry, nowMs: 1).first
        else { return #expect(Bool(false)) }
        #expect(failure.code == .unsupportedVersion)
    }

    @Test func `the number of children is bounded`() {
        let machine = Subject()
        for index in 0..<HolderMachine.maximumChildren {
            _ = machine.handle(
                .spawn(SpawnRequest(id: "n:\(index)", arguments: ["/bin/true"])),
                from: inquiry,
                nowMs: 1
            )
        }
        guard case .reply(.failure(let failure), _)? = machine.handle(.spawn(request), from: inquiry, nowMs: 1).first
        else { return #expect(Bool(false)) }
        #expect(failure.code == .tooMany)
    }
}

@Suite struct WorkerSupervisorTests {
    @Test func `waits double from 10 ms to 5 s and start anew after 10 s of life`() {
        var supervisor = WorkerSupervisor(nowMs: 0)
        #expect(supervisor.isDue(nowMs: 0))
        var waits: [Int64] = []
        var now: Int64 = 0
        for pid in Int32(1)...12 {
            supervisor.started(pid: pid, nowMs: now)
            let wasWorker = supervisor.ended(pid: pid, nowMs: now)
            #expect(wasWorker)
            waits.append((supervisor.wakeAtMs ?? 0) - now)
            now = supervisor.wakeAtMs ?? 0
        }
        #expect(waits == [10, 20, 40, 80, 160, 320, 640, 1280, 2560, 5000, 5000, 5000])
        supervisor.started(pid: 99, nowMs: now)
        let wasStranger = !supervisor.ended(pid: 98, nowMs: now)
        #expect(wasStranger)
        let wasWorker = supervisor.ended(pid: 99, nowMs: now + 10_000)
        #expect(wasWorker)
        #expect(supervisor.wakeAtMs == now + 10_010)
    }
}

@Suite struct HolderOptionsTests {
    @Test func `everything after the worker's program is the worker's`() throws {
        let options = try HolderOptions([
            "--socket", "/s", "--hide", "/a", "--hide", "/b", "--grace", "10", "--worker", "/w", "--socket", "x",
        ])
        #expect(options.socketPath == "/s")
        #expect(options.hiddenPaths == ["/a", "/b"])
        #expect(options.graceMs == 10)
        #expect(options.worker == ["/w", "--socket", "x"])
    }

    @Test(arguments: [
        [], ["--socket"], ["--socket", "/s", "--hide", "a"], ["--socket", "/s", "--grace", "x"],
        ["--socket", "/s", "--worker"], ["--socket", "/s", "--worker", "w"], ["--socket", "/s", "--what"],
        ["--socket", "/s", "--ready", "2"],
    ]) func `wrong usage is refused`(arguments: [String]) {
        #expect(throws: HolderOptions.UsageError.self) { try HolderOptions(arguments) }
    }
}
