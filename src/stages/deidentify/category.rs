//! The identifiers of 45 CFR 164.514(b)(2)(i), in the rule's order.

/// What was found; (A) to (R) of the rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Category {
    Name,
    /// Smaller than a state: street, city, county, parts of a postal code.
    Place,
    /// All of a date but its year, and ages over 89.
    Date,
    Phone,
    Fax,
    Email,
    SocialSecurity,
    RecordNumber,
    HealthPlan,
    Account,
    Licence,
    Vehicle,
    Device,
    Url,
    IpAddress,
    Biometric,
    Photo,
    /// Any other number, code or mark of one person's.
    Number,
}

impl Category {
    pub const ALL: [Self; 18] = [
        Self::Name,
        Self::Place,
        Self::Date,
        Self::Phone,
        Self::Fax,
        Self::Email,
        Self::SocialSecurity,
        Self::RecordNumber,
        Self::HealthPlan,
        Self::Account,
        Self::Licence,
        Self::Vehicle,
        Self::Device,
        Self::Url,
        Self::IpAddress,
        Self::Biometric,
        Self::Photo,
        Self::Number,
    ];

    /// The word in a mark: `[PHONE-91bc]`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Name => "NAME",
            Self::Place => "PLACE",
            Self::Date => "DATE",
            Self::Phone => "PHONE",
            Self::Fax => "FAX",
            Self::Email => "EMAIL",
            Self::SocialSecurity => "SSN",
            Self::RecordNumber => "MRN",
            Self::HealthPlan => "PLAN",
            Self::Account => "ACCOUNT",
            Self::Licence => "LICENCE",
            Self::Vehicle => "VEHICLE",
            Self::Device => "DEVICE",
            Self::Url => "URL",
            Self::IpAddress => "IP",
            Self::Biometric => "BIOMETRIC",
            Self::Photo => "PHOTO",
            Self::Number => "NUMBER",
        }
    }
}
