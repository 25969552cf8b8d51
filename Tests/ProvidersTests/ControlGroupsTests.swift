import Base
import Domain
import Glibc
import TestSupport
import Testing

@testable import Providers

@Suite struct ControlGroupsTests {
    static let hybrid = """
        25 1 254:0 / / rw - ext4 /dev/root rw
        31 30 0:26 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu
        32 30 0:27 / /sys/fs/cgroup/memory rw,relatime shared:3 - cgroup cgroup rw,memory
        33 30 0:28 / /sys/fs/cgroup/freezer rw,relatime - cgroup cgroup rw,freezer
        34 30 0:29 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids
        35 30 0:30 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
        """

    let environmentID = IDSource(time: SystemTime(), randomness: SeededRandomness(seed: 1)).make(EnvironmentKind.self)

    @Test func `a hybrid machine uses the first version's controllers`() throws {
        let groups = try #require(ControlGroups(mountInfo: Self.hybrid))
        #expect(groups.enforcement == .cgroup1)
        #expect(groups.paths(environmentID).first == "/sys/fs/cgroup/memory/berth/\(environmentID)")
        #expect(groups.paths(environmentID).count == 4)
    }

    @Test func `a machine without a needed controller has none`() {
        let lines = Self.hybrid.split(separator: "\n").filter { !$0.hasSuffix("rw,pids") }
        #expect(ControlGroups(mountInfo: lines.joined(separator: "\n")) == nil)
    }

    @Test func `the unified hierarchy is used where its controllers are there`() async throws {
        try await withTemporaryDirectory { mount in
            _ = try await check(["sh", "-c", "echo 'cpuset cpu io memory pids' >\(mount)/cgroup.controllers"])
            let line = "30 25 0:24 / \(mount) rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate"
            let groups = try #require(ControlGroups(mountInfo: line))
            #expect(groups.enforcement == .cgroup2)
            #expect(groups.paths(environmentID) == ["\(mount)/berth/\(environmentID)"])
        }
    }

    /// The kernel makes the files of a group; here they are laid out beforehand.
    private func withUnified(_ body: (ControlGroups, String) async throws -> Void) async throws {
        try await withTemporaryDirectory { mount in
            let group = "\(mount)/berth/\(environmentID)"
            let script = """
                mkdir -p \(group) && cd \(group)
                touch memory.max memory.swap.max cpu.max pids.max cgroup.freeze ../cgroup.subtree_control \
                    ../../cgroup.subtree_control
                """
            _ = try await check(["sh", "-c", script])
            try await body(ControlGroups(.two(mount)), group)
        }
    }

    @Test func `limits become the unified hierarchy's settings`() async throws {
        try await withUnified { groups, group in
            try groups.prepare(
                environmentID,
                ResourceLimits(cpus: 1.5, memoryBytes: 64 << 20, processes: 99)
            )
            #expect(SmallFile.read(group + "/memory.max") == "67108864")
            #expect(SmallFile.read(group + "/memory.swap.max") == "0")
            #expect(SmallFile.read(group + "/cpu.max") == "150000 100000")
            #expect(SmallFile.read(group + "/pids.max") == "99")
        }
    }

    @Test func `freezing waits until the kernel says so`() async throws {
        try await withUnified { groups, group in
            _ = try await check(["sh", "-c", "echo 'populated 1\nfrozen 1' >\(group)/cgroup.events"])
            try await groups.freeze(environmentID, time: SystemTime())
            #expect(groups.isFrozen(environmentID))
            #expect(SmallFile.read(group + "/cgroup.freeze") == "1")
        }
    }

    @Test func `thawing a group that is gone is nothing to do`() async throws {
        try await ControlGroups(.two("/nonexistent")).thaw(environmentID, time: SystemTime())
    }
}
