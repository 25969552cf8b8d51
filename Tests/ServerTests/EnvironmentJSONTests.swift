import API
import Base
import Domain
import Testing

@Suite struct EnvironmentJSONTests {
    private func bare() throws -> API.Environment {
        API.Environment(
            id: try EnvironmentID("env_01jd0000000000000000000000"),
            name: "plain",
            ownership: .further,
            status: "running",
            desired: "running",
            statusSince: Timestamp(milliseconds: 1),
            instance: 1,
            spec: EnvironmentSpec(limits: ResourceLimits()),
            createdAt: Timestamp(milliseconds: 1_795_000_000_123),
            version: .max
        )
    }

    private func expectSame(_ value: API.Environment, _ location: SourceLocation = #_sourceLocation) throws {
        let expected = try JSONBody.encode(value)
        #expect(
            String(decoding: value.json, as: UTF8.self) == String(decoding: expected, as: UTF8.self),
            sourceLocation: location
        )
    }

    @Test func `a row without anything optional is written as the encoder writes it`() throws {
        try expectSame(try bare())
    }

    @Test func `a row with everything is written as the encoder writes it`() throws {
        var value = try bare()
        value.lost = ["every process", "2 terminals"]
        value.name = "a \"quoted\" \\ name\n\u{1}é😀/"
        value.statusMessage = ""
        value.deadlineAt = Timestamp(milliseconds: 253_402_300_799_999)
        value.lastHealthCheckAt = Timestamp(milliseconds: 0)
        value.lastActiveAt = Timestamp(milliseconds: -1)
        value.limitsEnforced = "cgroup2"
        value.limitations = ["no disk cap", ""]
        value.autoStopMinutes = 30
        value.idleStopMinutes = 60
        value.requestedLimits = ResourceLimits(cpus: 64, memoryBytes: 1 << 40)
        value.expiresAt = Timestamp(milliseconds: 1)
        value.instance = .min
        for cpus in [0.01, 2, 2.5, 1024, -0.0, 1e15, 1e16, 1e300] {
            value.spec = EnvironmentSpec(
                provider: ProviderKind(rawValue: "fly\t"),
                limits: ResourceLimits(cpus: cpus, memoryBytes: 1 << 30, diskBytes: .max, processes: 8),
                limitsPolicy: .required,
                network: try NetworkPolicy(.open, hostPorts: [1, 65535]),
                image: "debian:bookworm"
            )
            try expectSame(value)
        }
    }

    @Test func `a year of more or less than four digits is told`() throws {
        #expect(Timestamp(milliseconds: 253_402_300_800_000).description == "10000-01-01T00:00:00.000Z")
        #expect(Timestamp(milliseconds: -62_167_219_200_000).description == "0000-01-01T00:00:00.000Z")
        #expect(Timestamp(milliseconds: .max).description == "292278994-08-17T07:12:55.807Z")
    }
}
