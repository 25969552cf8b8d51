import Base
import Database
import Domain
import Environments
import Testing

@Suite struct NetworkChangeTests {
    private func made(_ plane: ControlPlane, _ network: NetworkPolicy) async throws -> EnvironmentRecord {
        var request = NewEnvironmentFixture.make(plane)
        request.spec.network = network
        return try await plane.environments.create(request)
    }

    private func set(_ policy: NetworkPolicy, _ id: EnvironmentID, _ plane: ControlPlane) async throws
        -> EnvironmentRecord
    {
        try await plane.environments.setNetwork(
            policy,
            id,
            organization: plane.organization,
            by: plane.user,
            visibleTo: plane.user
        )
    }

    @Test func `a list is changed while the environment runs, and is what its worker is held to`() async throws {
        try await ControlPlane.with { plane in
            let id = try await made(plane, NetworkPolicy.none).id
            let policy = try NetworkPolicy(.allow, allow: [NetworkRule("github.com:443")])
            let after = try await set(policy, id, plane)
            #expect(after.spec.network == policy)
            let held = try await plane.environments.network(of: id, organization: plane.organization)
            #expect(held == policy)
            #expect(try await set(policy, id, plane).version >= after.version)
            let none = try await set(NetworkPolicy.none, id, plane)
            #expect(none.spec.network == NetworkPolicy.none)
            let log = try await plane.environments.provisioningLog(
                id,
                organization: plane.organization,
                visibleTo: plane.user
            ).entries.map(\.message)
            #expect(log.contains("may reach github.com:443"))
            #expect(log.contains("may reach nothing"))
        }
    }

    @Test func `an open network stays, and a stranger's environment is not found`() async throws {
        try await ControlPlane.with { plane in
            let id = try await made(plane, NetworkPolicy.open).id
            let policy = try NetworkPolicy(.allow, allow: [NetworkRule("github.com:443")])
            let refused = await #expect(throws: BerthError.self) { try await set(policy, id, plane) }
            #expect(refused?.code == .unsupported)
            #expect(refused?.field == "kind")
            let unknown = await #expect(throws: BerthError.self) { try await set(policy, plane.ids.make(), plane) }
            #expect(unknown?.code == .notFound)
        }
    }

    @Test func `ports of the host are laid at the start and cannot change`() async throws {
        try await ControlPlane.with { plane in
            let id = try await made(plane, NetworkPolicy.none).id
            let error = await #expect(throws: BerthError.self) {
                try await set(try NetworkPolicy(.none, hostPorts: [80]), id, plane)
            }
            #expect(error?.code == .unsupported)
        }
    }
}
