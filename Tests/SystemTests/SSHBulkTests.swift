import Base
import FoundationEssentials
import Glibc
import TestSupport
import Testing

/// A gigabyte, and twenty thousand files, by the stock OpenSSH client. One after the other: they fill disk and loopback.
@Suite(.serialized) struct SSHBulkTests {
    /// Bytes that do not compress, fast: AES in counter mode.
    private static let gigabyte = """
        openssl enc -aes-128-ctr -pass pass:x -nosalt -in /dev/zero 2>/dev/null | head -c 1073741824 >"$0"
        sha256sum "$0" | cut -c-64
        """
    private static let tree = """
        import os, sys
        for folder in range(200):
            place = f"{sys.argv[1]}/d{folder % 20}/e{folder}"
            os.makedirs(place)
            for number in range(100):
                with open(f"{place}/f {number}.txt", "w") as file: file.write(f"{folder} {number}\\n" * (number % 30))
        """

    @Test(arguments: ["local", "docker"])
    func `a gigabyte goes and comes whole, and so do twenty thousand files`(provider: String) async throws {
        let variables = provider == "docker" ? ["BERTH_DOCKER_SOCKET": try await DockerEngine.shared().socket] : [:]
        let home = try TemporaryDirectory("ssh-bulk")
        let berth = try Installation(variables: variables.merging(["XDG_CONFIG_HOME": home.path]) { $1 })
        try await Self.carry(berth, home, provider)
    }

    @Test(.enabled(if: geteuid() == 0)) func `so they do without root`() async throws {
        let user = try await OrdinaryUser(hasIDs: true, hasTunnels: true)
        try await Self.carry(user.installation, user.installation.directory, "host")
    }

    private static let patience = Duration.seconds(300)

    private static func carry(_ berth: Installation, _ home: TemporaryDirectory, _ provider: String) async throws {
        try await withServer(berth) { berth, _ in
            let made = try await berth.berth("env", "create", "build", "--provider", provider)
            #expect(made.status == 0, "\(made.errors)")
            let config = home.file("config")
            let told = try await berth.berth("config-ssh", "--file", config)
            #expect(told.status == 0, "\(told.errors)")
            func client(_ arguments: String...) async throws -> CommandResult {
                let result = try await run(
                    berth.prefix + arguments,
                    environment: berth.environment,
                    within: patience
                )
                #expect(result.status == 0, "\(arguments): \(result.errors)")
                return result
            }
            let options = ["-F", config, "-o", "BatchMode=yes"]
            func ssh(_ command: String) async throws -> String {
                try await client("ssh", options[0], options[1], options[2], options[3], "build.berth", command).output
            }
            let place = try await ssh("mktemp -d").trimmed
            let big = home.file("big")
            let sum = try await check(["sh", "-c", gigabyte, big], within: patience).trimmed
            try await check(["chmod", "a+r", big])
            _ = try await client("scp", "-q", options[0], options[1], big, "build.berth:\(place)/big")
            #expect(try await ssh("sha256sum \(place)/big").hasPrefix(sum))
            try await check(["rm", big])
            _ = try await client("scp", "-q", options[0], options[1], "build.berth:\(place)/big", home.file("back"))
            #expect(try await check(["sha256sum", home.file("back")], within: patience).hasPrefix(sum))
            try await check(["rm", home.file("back")])
            _ = try await ssh("rm \(place)/big")

            let (tree, back) = (home.file("tree"), home.file("tree-back"))
            try await check(["python3", "-c", Self.tree, tree], within: patience)
            let shell = "ssh -F \(config) -o BatchMode=yes"
            for (from, to) in [(tree, "build.berth:\(place)/tree"), ("build.berth:\(place)/tree", back)] {
                _ = try await client("rsync", "-a", "-e", shell, from + "/", to + "/")
            }
            try await check(["diff", "-r", tree, back], within: patience)
            #expect(try await check(["sh", "-c", "find \(back) -type f | wc -l"]).trimmed == "20000")
            try await check(["rm", "-rf", tree, back])
            _ = try await ssh("rm -rf \(place)")
        }
    }
}
