import Base
import Domain
import Providers
import TestSupport
import Testing

@Suite(.serialized) struct TmpTiming {
    @Test(arguments: [ResourceLimits.standard, ResourceLimits(processes: 100)]) func timing(_ limits: ResourceLimits)
        async throws
    {
        try await withProvider(.local) { fixture in
            var c: [Double] = [], s: [Double] = [], e: [Double] = [], d: [Double] = []
            let t = SystemTime()
            func ms(_ a: Uptime) -> Double { Double((t.uptime - a).wholeNanoseconds) / 1e6 }
            for _ in 0..<20 {
                let r = fixture.request(limits)
                var a = t.uptime
                _ = try await fixture.provider.create(r)
                c.append(ms(a)); a = t.uptime
                let ref = InstanceReference(environmentID: r.environmentID, instance: 1)
                try await fixture.provider.start(ref, ProviderFixture.launch)
                s.append(ms(a)); a = t.uptime
                try await fixture.provider.stop(ref, grace: .seconds(5))
                e.append(ms(a)); a = t.uptime
                try await fixture.provider.destroy(ref)
                d.append(ms(a))
            }
            print(
                "TIMING",
                limits.diskBytes ?? 0,
                "create",
                c.sorted()[10],
                "start",
                s.sorted()[10],
                s.max()!,
                "stop",
                e.sorted()[10],
                "destroy",
                d.sorted()[10]
            )
        }
    }
}
