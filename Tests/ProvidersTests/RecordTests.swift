import Base
import Glibc
import TestSupport
import Testing

@testable import Providers

@Suite struct RecordTests {
    @Test func `a record is read back`() throws {
        let text = "instance 7\nboot abc\nmonitor 10 200\nholder 11 201\nnetwork 12 202\n"
        let record = try #require(InstanceRecord(text))
        #expect(record.instance == 7)
        #expect(record.holder == ProcessIdentity(pid: 11, startTicks: 201))
        #expect(record.network == ProcessIdentity(pid: 12, startTicks: 202))
        #expect(!record.isOfThisBoot)
    }

    @Test(arguments: ["", "instance 7\n", "instance x\nboot b\nmonitor 1 2\nholder 3 4\n", "garbage"])
    func `a damaged record is none`(_ text: String) { #expect(InstanceRecord(text) == nil) }

    @Test func `a pid with another start time is somebody else`() throws {
        let status = try #require(ProcessIdentity.status(of: getpid()))
        let own = ProcessIdentity(pid: getpid(), startTicks: status.startTicks)
        #expect(own.isAlive)
        let other = ProcessIdentity(pid: getpid(), startTicks: status.startTicks &+ 1)
        #expect(!other.isAlive)
        #expect(!other.signal(SIGKILL))
    }

    @Test func `an exit record tells code or signal`() throws {
        let moment = Timestamp(milliseconds: 5)
        #expect(ExitRecord("instance 2\ncode 3\nat 5\n")?.end == .exited(code: 3, at: moment))
        #expect(ExitRecord("instance 2\nsignal 9\nat 5\n")?.end == .killed(signal: 9, at: moment))
        #expect(ExitRecord("instance 2\nat 5\n") == nil)
    }

    @Test func `the launcher's answers become errors with a way out`() {
        #expect(Launcher.failure("error 11 lock: /x").code == .illegalTransition)
        let overlay = Launcher.failure("error 22 mount the overlay of: /data/layer")
        #expect(overlay.code == .unavailable)
        #expect(overlay.message.contains("mount the overlay of: /data/layer"))
        #expect(overlay.remedy?.contains("overlay") == true)
        #expect(Launcher.failure("error 28 make: /x").code == .diskFull)
        #expect(Launcher.failure("").code == .unavailable)
    }
}
