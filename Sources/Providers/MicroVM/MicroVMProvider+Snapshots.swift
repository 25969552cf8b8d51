internal import Base
internal import Domain
internal import Glibc

extension MicroVMProvider {
    /// Lets a machine that was given its memory run, once it has all of it.
    func goOn(_ instance: InstanceReference) async throws {
        let time = time
        try await monitor(instance.environmentID, deadline: .seconds(60)) { monitor in
            while try await monitor.status() == "inmigrate" { try await time.wait(for: .milliseconds(2)) }
            try await monitor.run("cont")
        }
    }
}
