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
            default: "0",
            "environments of the default kind that wait, running, for whoever asks for one"
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

    var warmSpares: Int { Int(integer("warmSpares")) }
}
