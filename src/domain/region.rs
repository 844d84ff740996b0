//! Regions: whether what an address tells lies in what a plan states.

use super::Origin;

/// Azure's regions in the EU, which do not bear its name.
const AZURE_EU: [&str; 12] = [
    "westeurope",
    "northeurope",
    "swedencentral",
    "francecentral",
    "francesouth",
    "germanywestcentral",
    "germanynorth",
    "italynorth",
    "polandcentral",
    "spaincentral",
    "austriaeast",
    "belgiumcentral",
];
/// Azure's regions in the United States.
const AZURE_US: [&str; 9] =
    ["eastus", "eastus2", "westus", "westus2", "westus3", "centralus", "northcentralus", "southcentralus", "westcentralus"];
/// AWS's and Google's regions in London and Zürich: European by name, and outside the EU.
const BESIDE_THE_EU: [&str; 4] = ["eu-west-2", "eu-central-2", "europe-west2", "europe-west6"];

/// Whether a region lies in another: it is the same, or one of the EU's for `eu`, of the United States' for `us`, or begins with
/// the other's name.
#[must_use]
pub fn lies_in(region: &str, area: &str) -> bool {
    let (region, area) = (region.to_ascii_lowercase(), area.to_ascii_lowercase());
    let named = |name: &str| region.strip_prefix(name).is_some_and(|rest| rest.starts_with('-'));
    let (region_is, beside) = (|list: &[&str]| list.contains(&region.as_str()), BESIDE_THE_EU.contains(&region.as_str()));
    region == area
        || match area.as_str() {
            "eu" => !beside && (region == "europe" || named("eu") || named("europe") || region_is(&AZURE_EU)),
            "us" => named("us") || region_is(&AZURE_US),
            _ => named(&area),
        }
}

impl Origin {
    /// The region that the plan states and the one that the address tells, where neither lies in the other.
    #[must_use]
    pub fn contradiction(&self) -> Option<(&str, &str)> {
        let (stated, told) = (self.stated_region.as_deref()?, self.region.as_deref()?);
        (!lies_in(told, stated) && !lies_in(stated, told)).then_some((stated, told))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_lies_in_its_area_whatever_the_provider_calls_it() {
        for region in ["eu", "eu-west-3", "europe-west4", "westeurope", "EU-North-1"] {
            assert!(lies_in(region, "eu"), "{region}");
        }
        for region in ["us-east-1", "eastus2", "us"] {
            assert!(lies_in(region, "us") && !lies_in(region, "eu"), "{region}");
        }
        for region in ["eu-west-2", "europe-west6", "uksouth", "global", "cn", "australiaeast"] {
            assert!(!lies_in(region, "eu") && !lies_in(region, "us"), "{region}");
        }
        assert!(lies_in("us-gov-west-1", "us-gov") && !lies_in("eu-west-1", "eu-west-3"));
    }

    #[test]
    fn a_wider_word_of_the_address_contradicts_nothing() {
        let of = |stated: &str, told: &str| {
            let origin = Origin { region: Some(told.into()), stated_region: Some(stated.into()), ..Origin::default() };
            origin.contradiction().is_some()
        };
        assert!(!of("eu-west-3", "eu") && !of("eu", "eu-west-3") && !of("us", "us"));
        assert!(of("eu", "global") && of("eu", "us-east-1") && of("eu-west-3", "eu-central-1"));
        assert_eq!(Origin { stated_region: Some("eu".into()), ..Origin::default() }.contradiction(), None);
    }
}
