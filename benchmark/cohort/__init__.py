"""Raw trees and adapters: public materials, the phantom, one adapter per dataset, the picture cache."""
