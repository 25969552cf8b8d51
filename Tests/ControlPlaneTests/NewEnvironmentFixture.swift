import Domain
import Environments

enum NewEnvironmentFixture {
    static func make(_ plane: ControlPlane, name: String? = nil) -> NewEnvironment {
        NewEnvironment(organizationID: plane.organization, ownerID: plane.user, name: name)
    }
}
