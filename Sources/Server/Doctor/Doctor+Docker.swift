import Base
import EventLoop
import FoundationEssentials
import Providers

extension Doctor {
    /// Whether containers can be made, and what becomes of them when the Engine restarts.
    static func docker(_ configuration: Configuration, _ loop: EventLoop) async -> Finding {
        let socket = configuration.text("dockerSocket") ?? DockerConfiguration.defaultSocket
        guard Files.exists(socket) else {
            return Finding("docker", .good, "no Engine at \(socket); only '--provider docker' needs one")
        }
        do {
            let report = try await Programs.dockerProvider(configuration, loop: loop, time: loop.time).examine()
            guard report.hasImage else {
                return Finding(
                    "docker",
                    .limited,
                    "Engine \(report.version) has no image '\(report.image)'",
                    remedy: "run scripts/images/docker"
                )
            }
            guard report.containersOutliveEngine else {
                return Finding(
                    "docker",
                    .limited,
                    "Engine \(report.version) with '\(report.image)'; its containers end when it restarts",
                    remedy: "set \"live-restore\": true in /etc/docker/daemon.json"
                )
            }
            return Finding("docker", .good, "Engine \(report.version) with '\(report.image)'")
        } catch {
            let error = BerthError(wrapping: error)
            return Finding("docker", .bad, error.message, remedy: error.remedy)
        }
    }
}
