import Base
import FoundationEssentials
import TestSupport
import Testing

@testable import Server

/// Files of the data directory that were removed or damaged are told by name; nothing is quietly made anew.
@Suite struct LostFileTests {
    @Test func `a database without its master key is refused, and no other key is made`() throws {
        let folder = try TemporaryDirectory("lost-key")
        let directory = DataDirectory(path: folder.path)
        let configuration = try Configuration(file: nil, environment: ["BERTH_DATA": folder.path], flags: [:])
        _ = try Composition.keys(configuration, directory, SystemRandomness())
        #expect(Files.exists(directory.masterKeyPath))

        try folder.write("database", to: "berth.sqlite")
        _ = try Composition.keys(configuration, directory, SystemRandomness())
        try FileManager.default.removeItem(atPath: directory.masterKeyPath)
        let error = #expect(throws: BerthError.self) {
            try Composition.keys(configuration, directory, SystemRandomness())
        }
        #expect(error?.code == .sealKeyUnknown)
        #expect(error?.message.contains(directory.masterKeyPath) == true)
        #expect(!Files.exists(directory.masterKeyPath))
    }

    @Test func `a damaged address file is told by its path`() throws {
        let folder = try TemporaryDirectory("lost-address")
        try folder.write("{", to: "server.json")
        let configuration = try Configuration(file: nil, environment: ["BERTH_DATA": folder.path], flags: [:])
        let error = #expect(throws: BerthError.self) { try ServerAddress.find(configuration) }
        #expect(error?.code == .unavailable)
        #expect(error?.message.contains("server.json") == true)
    }
}
