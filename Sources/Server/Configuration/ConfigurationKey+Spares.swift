import Base
import Domain
import Transport

extension ConfigurationKey {
    /// Machines that wait, and where allow-lists lead.
    static let spares: [ConfigurationKey] = [
        .init(
            "warmSpares",
            .integer(0...1000),
            ["BERTH_WARM_SPARES"],
            "environments of the default kind that wait, running, for whoever asks for one; default: 0 where one starts at "
                + "once (local, host), else 1"
        ),
        .init(
            "egressPrivate",
            .text,
            ["BERTH_EGRESS_PRIVATE"],
            "private addresses that names on environments' allow-lists may have, such as 10.1.2.0/24; several with commas; "
                + "default: none"
        ),
    ]
}

extension Configuration {
    var egressReach: EgressReach {
        get throws(BerthError) {
            var ranges: [AddressRange] = []
            for part in (text("egressPrivate") ?? "").split(separator: ",") {
                let text = String(part).trimmed
                guard let range = AddressRange(text) else {
                    throw BerthError(
                        .invalidValue,
                        "'\(text.prefix(80))' is no range of addresses",
                        field: "egressPrivate",
                        remedy: "write it like 10.1.2.0/24 or fd00::/8"
                    )
                }
                ranges.append(range)
            }
            return EgressReach(exceptions: ranges)
        }
    }

    var provider: ProviderKind { text("provider").map { ProviderKind(rawValue: $0) } ?? .local }

    /// A spare costs memory for as long as it waits. A sandbox starts in tens of milliseconds, so there waiting buys
    /// nothing; a container or a virtual machine lets its user wait.
    var warmSpares: Int {
        text("warmSpares") == nil ? ([.local, .host].contains(provider) ? 0 : 1) : Int(integer("warmSpares"))
    }
}
