// swift-tools-version: 6.2
import PackageDescription

// Settings every Swift target shares: Swift 6 mode with the strict upcoming features, warnings are errors.
let strict: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    .treatAllWarnings(as: .error),
]

func swiftTarget(_ name: String, _ dependencies: [String], path: String? = nil) -> Target {
    .target(
        name: name,
        dependencies: dependencies.map { .init(stringLiteral: $0) },
        path: path ?? "Sources/\(name)",
        swiftSettings: strict
    )
}

func controlPlane(_ name: String, _ dependencies: [String]) -> Target {
    swiftTarget(name, ["Base", "Domain", "Database"] + dependencies, path: "Sources/ControlPlane/\(name)")
}

func program(_ name: String, _ dependencies: [String]) -> Target {
    .executableTarget(
        name: name,
        dependencies: dependencies.map { .init(stringLiteral: $0) },
        path: "Sources/\(name)",
        swiftSettings: strict
    )
}

func tests(_ name: String, _ dependencies: [String]) -> Target {
    .testTarget(
        name: name,
        dependencies: (["TestSupport", "Base"] + dependencies).map { .init(stringLiteral: $0) },
        path: "Tests/\(name)",
        swiftSettings: strict
    )
}

// Where scripts/bootstrap lays the static libraries that Debian keeps out of the linker's way.
let cache =
    Context.environment["BERTH_CACHE"]
    ?? (Context.environment["XDG_CACHE_HOME"] ?? (Context.environment["HOME"] ?? "/root") + "/.cache") + "/berth"

let package = Package(
    name: "berth",
    products: [
        .executable(name: "berth", targets: ["berth"]),
        .executable(name: "berth-worker", targets: ["berth-worker"]),
        .executable(name: "berth-hold", targets: ["berth-hold"]),
        .library(name: "BerthCore", targets: ["BerthCore"]),
    ],
    targets: [
        // C libraries: one module map each, importable by exactly one Swift target (scripts/check-layers).
        .systemLibrary(name: "CUV", path: "Sources/C/CUV"),
        .systemLibrary(name: "COpenSSL", path: "Sources/C/COpenSSL"),
        .systemLibrary(name: "CZlib", path: "Sources/C/CZlib"),
        .systemLibrary(name: "CSQLite", path: "Sources/C/CSQLite"),
        .target(
            name: "CPostgres",
            path: "Sources/C/CPostgres",
            linkerSettings: [.unsafeFlags(["-L\(cache)/postgres/lib"])]
        ),
        // llhttp's generated C, laid here by scripts/bootstrap from its pinned source distribution; never committed.
        .target(name: "CLLHTTP", path: "Sources/C/CLLHTTP", cSettings: [.unsafeFlags(["-O3"])]),
        .target(name: "CShims", path: "Sources/C/CShims"),
        .target(name: "CSplice", path: "Sources/C/CSplice"),
        .target(name: "CMemory", path: "Sources/C/CMemory"),
        .target(name: "CRDKafka", path: "Sources/C/CRDKafka"),

        swiftTarget("Base", []),
        swiftTarget("EventLoop", ["Base", "CUV"]),
        swiftTarget("OpenSSL", ["Base", "COpenSSL"]),
        swiftTarget("Crypto", ["Base", "OpenSSL"]),
        swiftTarget("Transport", ["Base", "EventLoop", "OpenSSL", "CLLHTTP", "CZlib"]),
        swiftTarget("HolderProtocol", []),
        swiftTarget("MachineLink", []),
        swiftTarget("Holder", ["HolderProtocol", "MachineLink", "CShims"]),
        swiftTarget("Subprocess", ["Base", "EventLoop", "HolderProtocol", "CMemory", "OutputStore"]),
        swiftTarget("Database", ["Base", "CSQLite"]),
        swiftTarget("DatabasePostgres", ["Base", "Database", "CPostgres"]),
        swiftTarget("EventBus", ["Base", "Database"]),
        swiftTarget("EventBusKafka", ["Base", "EventBus", "CRDKafka"]),
        swiftTarget("OutputStore", ["Base", "OpenSSL", "CSplice"]),
        swiftTarget("Domain", ["Base"]),
        swiftTarget("WorkerProtocol", ["Base", "Domain"]),
        swiftTarget("WorkspaceTypes", ["Base"]),
        swiftTarget("WorkspaceCalls", ["Base", "WorkerProtocol", "WorkspaceTypes"]),
        swiftTarget("WorkspaceFiles", ["Base", "WorkerProtocol", "WorkspaceCalls", "WorkspaceTypes"]),
        swiftTarget("Relay", ["Base", "EventLoop", "Transport", "WorkerProtocol"]),
        swiftTarget(
            "Terminals",
            [
                "Base", "EventLoop", "Domain", "HolderProtocol", "OutputStore", "Relay", "Subprocess", "WorkerProtocol",
                "WorkspaceTypes",
            ]
        ),
        swiftTarget("AgentProtocol", ["Base", "Domain"]),
        swiftTarget("AgentSessions", ["Base", "Domain"]),
        swiftTarget(
            "SessionHost",
            ["Base", "EventLoop", "Domain", "AgentSessions", "OutputStore", "Relay", "WorkerProtocol"]
        ),
        swiftTarget("API", ["Base", "Domain", "WorkspaceTypes"]),
        swiftTarget("Carriage", ["Base", "OpenSSL"]),
        swiftTarget(
            "BerthCore",
            [
                "Base", "EventLoop", "OpenSSL", "Domain", "AgentProtocol", "HolderProtocol", "Subprocess", "Database",
                "OutputStore", "WorkspaceTypes",
            ]
        ),
        swiftTarget(
            "Providers",
            ["Base", "Domain", "EventLoop", "Transport", "HolderProtocol", "MachineLink", "CShims"]
        ),
        .target(
            name: "Migrations",
            dependencies: ["Database"],
            path: "Migrations",
            resources: [
                .embedInCode("0001-foundation.sql"), .embedInCode("0002-uploads.sql"),
                .embedInCode("0003-replicas.sql"), .embedInCode("0004-shared-files.sql"),
                .embedInCode("0005-dead-letters.sql"),
                .embedInCode("0006-bus.sql"), .embedInCode("0007-jobs.sql"),
                .embedInCode("0008-provisioning-log.sql"),
                .embedInCode("0009-idle.sql"), .embedInCode("0010-quotas.sql"), .embedInCode("0011-spares.sql"),
                .embedInCode("0012-bus-topics.sql"),
                .embedInCode("0013-snapshots.sql"),
                .embedInCode("0014-fewer-writes.sql"), .embedInCode("0015-job-losses.sql"),
                .embedInCode("0016-presence.sql"), .embedInCode("0017-workspaces.sql"),
                .embedInCode("0018-hand-overs.sql"),
            ],
            swiftSettings: strict
        ),

        controlPlane("Accounts", ["Crypto"]),
        controlPlane("Vault", ["Crypto"]),
        controlPlane("Environments", []),
        controlPlane("Jobs", []),
        controlPlane("Executions", ["Crypto", "OpenSSL", "OutputStore", "WorkerProtocol"]),
        controlPlane("Workers", ["Crypto", "WorkerProtocol"]),
        controlPlane("Workspaces", ["Crypto"]),
        controlPlane("Uploads", []),
        controlPlane("Presence", []),
        controlPlane("HandOvers", ["Crypto"]),
        controlPlane("Onboarding", []),
        controlPlane("Replicas", []),
        controlPlane("Bus", ["EventBus", "OpenSSL"]),

        swiftTarget(
            "Server",
            [
                "Base", "EventLoop", "OpenSSL", "Crypto", "Transport", "Domain", "Database", "DatabasePostgres",
                "OutputStore",
                "WorkerProtocol", "Relay", "API", "AgentProtocol", "Providers", "Migrations",
                "Accounts", "Vault", "Environments", "Jobs", "Executions", "Workers", "Workspaces",
                "Uploads", "Replicas", "EventBus", "EventBusKafka", "Bus", "Presence", "WorkspaceCalls",
                "WorkspaceTypes", "HandOvers", "Onboarding",
            ]
        ),
        swiftTarget(
            "Worker",
            [
                "Base", "EventLoop", "OpenSSL", "Crypto", "Transport", "Subprocess", "Database", "OutputStore",
                "WorkerProtocol", "Relay", "AgentProtocol", "AgentSessions", "HolderProtocol", "BerthCore", "Domain",
                "SessionHost", "Terminals",
                "WorkspaceCalls", "WorkspaceFiles", "WorkspaceTypes",
                "Carriage",
            ]
        ),
        swiftTarget("Client", ["Base", "API", "Domain", "OpenSSL", "Transport", "EventLoop", "WorkspaceTypes"]),
        swiftTarget(
            "CLI",
            [
                "Base", "API", "AgentProtocol", "Domain", "OpenSSL", "WorkerProtocol", "Client", "Transport",
                "EventLoop", "Relay", "Database", "Migrations",
                "Server", "Worker", "WorkspaceCalls", "WorkspaceFiles", "WorkspaceTypes",
            ]
        ),

        program("berth", ["CLI"]),
        program("berth-worker", ["Worker", "Base"]),
        program("berth-hold", ["Holder"]),

        .target(
            name: "TestSupport",
            dependencies: [
                "Base", "EventLoop", "Transport", "Subprocess", "Database", "DatabasePostgres", "Migrations",
                "EventBus",
                "broker-fixture",
            ],
            path: "Tests/Support",
            exclude: ["Peers"],
            swiftSettings: strict
        ),
        .executableTarget(
            name: "database-bench",
            dependencies: ["Base", "Database", "DatabasePostgres", "Migrations"],
            path: "Benchmarks/database",
            swiftSettings: strict
        ),
        .executableTarget(
            name: "dispatch-bench",
            dependencies: [
                "Base", "Crypto", "Database", "DatabasePostgres", "Domain", "Executions", "Migrations", "OpenSSL",
                "OutputStore", "WorkerProtocol", "Workers",
            ],
            path: "Benchmarks/dispatch",
            swiftSettings: strict
        ),
        .executableTarget(
            name: "broker-fixture",
            path: "Tests/Fixtures/broker-fixture",
            linkerSettings: [.linkedLibrary("rdkafka")]
        ),
        tests("BaseTests", []),
        .executableTarget(
            name: "log-fixture",
            dependencies: ["Base", "EventLoop"],
            path: "Tests/Fixtures/log-fixture",
            swiftSettings: strict
        ),
        tests("TransportTests", ["EventLoop", "Transport", "OpenSSL", "log-fixture"]),
        tests("CryptoTests", ["Crypto", "OpenSSL"]),
        tests("DatabaseTests", ["Database", "DatabasePostgres", "Migrations"]),
        tests("DomainTests", ["Domain"]),
        tests("CarriageTests", ["Carriage"]),
        tests("WorkerProtocolTests", ["WorkerProtocol", "Domain"]),
        tests("RelayTests", ["Relay", "Transport", "EventLoop", "WorkerProtocol"]),
        tests("OutputStoreTests", ["OutputStore", "OpenSSL"]),
        .executableTarget(
            name: "subprocess-fixture",
            dependencies: ["Base", "Subprocess", "HolderProtocol", "EventLoop", "OutputStore"],
            path: "Tests/Fixtures/subprocess-fixture",
            swiftSettings: strict
        ),
        tests(
            "SubprocessTests",
            [
                "Subprocess", "Holder", "HolderProtocol", "EventLoop", "OutputStore", "OpenSSL", "berth-hold",
                "subprocess-fixture",
            ]
        ),
        tests("MachineLinkTests", ["MachineLink"]),
        tests("ProvidersTests", ["Providers", "Domain"]),
        tests(
            "WorkspaceFilesTests",
            ["WorkspaceFiles", "WorkspaceCalls", "WorkspaceTypes", "WorkerProtocol"]
        ),
        tests("AgentProtocolTests", ["AgentProtocol", "Domain"]),
        .testTarget(
            name: "AgentSessionsTests",
            dependencies: ["TestSupport", "Base", "AgentSessions", "Domain"],
            path: "Tests/AgentSessionsTests",
            exclude: ["Recorded"],
            swiftSettings: strict
        ),
        tests("BerthCoreTests", ["BerthCore", "AgentProtocol", "Domain", "Subprocess", "EventLoop", "WorkspaceTypes"]),
        tests(
            "WorkerTests",
            [
                "Worker", "WorkerProtocol", "BerthCore", "Database", "Domain", "Transport", "EventLoop", "OutputStore",
                "Subprocess",
                "Terminals",
            ]
        ),
        tests(
            "ControlPlaneTests",
            [
                "Accounts", "Vault", "Environments", "Jobs", "Executions", "Workers", "Workspaces", "Replicas",
                "Uploads", "HandOvers", "Onboarding",
                "Domain", "Database", "Migrations", "OutputStore", "WorkerProtocol", "Crypto", "OpenSSL", "Bus",
                "EventBus", "Presence",
            ]
        ),
        tests(
            "ServerTests",
            [
                "Server", "OpenSSL", "API", "AgentProtocol", "Domain", "Database", "Executions", "Client", "Transport",
                "EventLoop",
                "WorkerProtocol", "Crypto",
            ]
        ),
        .target(
            name: "Simulation",
            dependencies: [
                "Base", "Domain", "AgentProtocol", "WorkerProtocol", "Workers", "Executions", "Database", "Migrations",
                "OutputStore", "Crypto", "OpenSSL",
            ],
            path: "Tests/Simulation",
            exclude: ["Program"],
            swiftSettings: strict
        ),
        .executableTarget(
            name: "simulate",
            dependencies: ["Base", "Simulation"],
            path: "Tests/Simulation/Program",
            swiftSettings: strict
        ),
        tests("SimulationTests", ["Simulation"]),
        tests("CLITests", ["CLI", "API", "Domain", "Client"]),
        tests(
            "ContractTests",
            [
                "Database", "DatabasePostgres", "Providers", "Domain", "EventLoop", "OutputStore", "Migrations",
                "Executions", "EventBus", "EventBusKafka",
            ]
        ),
        tests("SystemTests", ["Client", "API", "Domain", "Transport", "EventLoop", "WorkerProtocol"]),
    ],
    swiftLanguageModes: [.v6]
)

// Fuzz/run: the parsers with coverage counters, and the program that throws input at them.
if Context.environment["BERTH_FUZZ"] == "1" {
    for target in package.targets where target.type == .regular && target.swiftSettings != nil {
        target.swiftSettings?.append(.unsafeFlags(["-sanitize=fuzzer", "-parse-as-library"]))
    }
    package.targets += [
        .systemLibrary(name: "CFuzzer", path: "Fuzz/CFuzzer"),
        .executableTarget(
            name: "fuzz",
            dependencies: [
                "CFuzzer", "Base", "EventLoop", "Transport", "AgentProtocol", "WorkerProtocol", "HolderProtocol", "API",
                "Domain",
                "Server", "Workers",
            ],
            path: "Fuzz/Targets",
            swiftSettings: strict
        ),
    ]
}

// scripts/sanitize thread: every program also tells ThreadSanitizer what Swift's Mutex orders.
if Context.environment["BERTH_TSAN"] == "1" {
    for target in package.targets where target.name == "Base" { target.dependencies.append("CMutexOrder") }
    package.targets += [
        .target(name: "CMutexOrder", path: "Tests/Sanitizers/CMutexOrder"),
        .executableTarget(
            name: "calibration",
            dependencies: ["EventLoop"],
            path: "Tests/Sanitizers/calibration",
            swiftSettings: strict
        ),
    ]
}
