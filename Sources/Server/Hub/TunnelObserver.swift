import Base
import Relay

/// Counts and logs the TCP connections through workers.
struct TunnelObserver: ChannelObserver {
    let metrics: Metrics
    let log: Log

    func channelOpened(_ number: UInt32) { metrics.add(.tunnelsOpen, 1) }

    func channelClosed(_ number: UInt32, sent: Int64, received: Int64, reason: String) {
        metrics.add(.tunnelsOpen, -1)
        metrics.add(.tunnelBytesIn, sent)
        metrics.add(.tunnelBytesOut, received)
        log.info("tunnel closed", ["channel": number, "bytes_in": sent, "bytes_out": received, "reason": reason])
    }
}
