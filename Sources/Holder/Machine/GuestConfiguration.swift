internal import MachineLink

/// What the host tells a guest between `reset` and `begin`.
struct GuestConfiguration: Equatable {
    var hostname = "berth"
    var token = ""
    /// `NAME=VALUE` of holder and worker.
    var environment: [String] = []
    /// The holder's command line, without the worker's.
    var holder: [String] = []
    /// The worker's command line.
    var worker: [String] = []
    /// TCP ports of the host's loopback that appear on the guest's.
    var ports: [UInt16] = []
    /// Cap of processes and threads; nil for none.
    var processes: Int?
    /// Address of the resolver; nil without a network.
    var resolver: String?
    /// Names of agents; the disk of the first has the serial number `agent0`.
    var agents: [String] = []

    private static let instanceVariable = "BERTH_INSTANCE="

    /// The number of the boot.
    var instance: String? {
        environment.first { $0.hasPrefix(Self.instanceVariable) }.map {
            String($0.dropFirst(Self.instanceVariable.count))
        }
    }

    /// What a running worker cannot learn by a new connection.
    var lasting: GuestConfiguration {
        var lasting = self
        lasting.token = ""
        lasting.environment.removeAll { $0.hasPrefix(Self.instanceVariable) }
        return lasting
    }

    mutating func take(_ line: ControlLine) {
        guard line.words.count == 2 else { return }
        let value = line.words[1]
        switch line.words[0] {
        case "hostname": hostname = value
        case "token": token = value
        case "environment": environment.append(value)
        case "holder": holder.append(value)
        case "worker": worker.append(value)
        case "port": if let port = UInt16(value) { ports.append(port) }
        case "processes": processes = Int(value)
        case "resolver": resolver = value
        case "agent": agents.append(value)
        default: break
        }
    }
}
