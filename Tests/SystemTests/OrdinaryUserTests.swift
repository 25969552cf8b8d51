import Base
import FoundationEssentials
import Glibc
import TestSupport
import Testing

/// A server and a CLI without root.
@Suite struct OrdinaryUserTests {
    @Test(.enabled(if: geteuid() == 0), arguments: [true, false])
    func `a run of an ordinary user is in a sandbox, and what does not hold is said`(hasIDs: Bool) async throws {
        let user = try await OrdinaryUser(hasIDs: hasIDs, hasTunnels: hasIDs)
        try await withServer(user.installation) { berth, server in
            let status = try String(contentsOfFile: "/proc/\(server.pid)/status", encoding: .utf8)
            #expect(status.contains("Uid:\t\(OrdinaryUser.id)\t\(OrdinaryUser.id)\t"))
            let script = """
                cat '\(berth.data)/api-key' 2>&1; ls '\(berth.directory.path)' 2>&1; ls -A /run/berth; id -un
                touch $HOME/mine && echo written; echo err >&2; exit 7
                """
            let result = try await berth.berth("exec", "--", "sh", "-c", script)
            #expect(result.status == 7, "\(result.errors)")
            #expect(result.errors.contains("err\n"))
            let lines = result.output.split(separator: "\n")
            #expect(lines.prefix(2).allSatisfy { $0.contains("No such file") }, "\(result.output)")
            #expect(lines.suffix(2) == ["agent", "written"], "\(result.output)")
            #expect(lines.count == 4, "\(result.output)")

            let doctor = try await berth.berth("doctor")
            let shown = try await berth.json("env", "show", "personal")
            let limitations = shown["limitations"]?.array?.compactMap(\.string) ?? []
            #expect(limitations.contains { $0.contains("memory") })
            // What follows from this environment's own settings is no property of the machine.
            for limitation in limitations where !limitation.hasPrefix("unused for") {
                #expect(doctor.output.contains(limitation), "\(limitation)")
            }
            #expect(limitations.contains { $0.contains("subuid") } == !hasIDs)
            #expect(shown["limitsEnforced"]?.string == "rlimit")
            #expect(shown["spec"]?["network"]?["kind"]?.string == (hasIDs ? "open" : "none"))
        }
    }

    @Test(.enabled(if: geteuid() == 0))
    func `limits that an ordinary user cannot enforce are refused by name when they are required`() async throws {
        let user = try await OrdinaryUser(hasIDs: true, hasTunnels: true)
        try await withServer(user.installation) { berth, _ in
            let refused = try await berth.berth("env", "create", "strict", "--limits-required", "--memory", "256M")
            #expect(refused.status == 69)
            #expect(refused.errors.contains("limits.memoryBytes"), "\(refused.errors)")
            #expect(try await berth.json("env", "ls")["items"]?.array?.isEmpty == true)
        }
    }

    @Test(.enabled(if: geteuid() == 0))
    func `a base root of somebody else is refused with the way out`() async throws {
        let user = try await OrdinaryUser(hasIDs: true, hasTunnels: true)
        guard chown(user.installation.directory.file("base-root"), 0, 0) == 0 else {
            throw SystemFailure("chown", errno)
        }
        try await withServer(user.installation) { berth, _ in
            let refused = try await berth.berth("exec", "--", "true")
            #expect(refused.status == 69)
            #expect(refused.errors.contains("belongs to user 0"), "\(refused.errors)")
            #expect(try await berth.berth("doctor").output.contains("belongs to user 0"))
        }
    }
}
