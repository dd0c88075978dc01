//! Which lines of before.rules, before6.rules, after.rules and after6.rules are ufw's own: sums of the lines that its
//! releases have brought since 0.36, so that a line that somebody wrote can be told from them.

use crate::text::digest::Digest;

/// Is this line, with a rule in it, one that ufw brings along?
#[must_use]
pub(super) fn is_stock(line: &str) -> bool {
    let plain = line.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut digest = Digest::new();
    digest.add(plain.as_bytes());
    STOCK.binary_search(&digest.finish()).is_ok()
}

/// Sums of lines with one space between words, sorted.
const STOCK: &[u64] = &[
    0x0265_ed14_8e3c_3dcd,
    0x0419_d2d1_9a8c_2a4f,
    0x09d3_5c04_eeef_1e21,
    0x0c43_2e82_12a6_27ab,
    0x0f4c_7305_6a81_17dd,
    0x1590_9f8d_a953_ce32,
    0x167a_c809_b2e1_1083,
    0x1738_7996_2041_f761,
    0x1872_b4ab_63b0_2765,
    0x19e3_83dc_4ecb_b1cc,
    0x1afb_4333_12bd_54e8,
    0x1c5e_8458_9d94_cb8d,
    0x2005_a070_0378_0cdb,
    0x22cc_77bb_9238_af96,
    0x234e_5280_a1c8_61d8,
    0x27c5_2391_4c2d_1f0e,
    0x2c44_0f5b_ae17_4561,
    0x2f03_f64a_135c_47ab,
    0x2fe8_865d_877e_2165,
    0x34ed_2e6a_ea30_27bf,
    0x3681_053b_bcd3_ba95,
    0x3bde_7505_8140_d87e,
    0x3c1e_041c_a8c9_6b8d,
    0x3c9f_08c2_ceef_aa33,
    0x40f9_10f8_8fc2_90c3,
    0x4318_ff8a_71af_5e08,
    0x45ad_fa9c_617d_1303,
    0x460a_1784_9df7_2f58,
    0x4679_ad08_79e8_baf3,
    0x4d61_0ecf_0b10_bcfa,
    0x5311_31b2_d5af_0962,
    0x5385_3bfd_383d_4f3a,
    0x561a_3e2c_3993_118e,
    0x562c_1e77_d01d_5484,
    0x5972_2982_2fea_2661,
    0x5a59_7cb4_1c58_9dba,
    0x5a8d_b0dc_d6fc_8d91,
    0x6758_eb17_8b22_56e0,
    0x6785_02b1_6672_198c,
    0x6a83_2bd0_5b81_68fb,
    0x6d80_831a_9ee0_8bd0,
    0x70cc_e7a5_c1ae_db51,
    0x718e_d0e9_73d3_1e80,
    0x7287_b366_f000_9fbe,
    0x73dd_63db_feea_3b1f,
    0x791a_6bff_f49b_6d54,
    0x7d19_a57c_94b9_3f60,
    0x7dd1_71be_460e_70c4,
    0x820b_7c31_8c79_d967,
    0x842e_fc5c_872c_a337,
    0x8d82_7abf_9b46_6143,
    0x8f32_31f4_871e_04fc,
    0x9003_1110_b675_aa74,
    0x919b_4ef3_b59a_e298,
    0x923b_9df8_5e9b_8396,
    0x92d3_90aa_05bb_0cd3,
    0x93ce_53bb_10df_663c,
    0x9437_4c07_ca46_5e05,
    0x954a_93f4_c0f8_0639,
    0x978d_492c_75c1_d84e,
    0x9a47_32d4_cb7d_56d2,
    0x9bc8_a455_b75b_0e6b,
    0x9c18_4bbe_40fb_0370,
    0x9c64_3b76_1ac9_6349,
    0x9e01_7bc5_96a0_3646,
    0xa0a5_dc99_730e_b2c0,
    0xa313_0b23_0e13_0d1c,
    0xa8eb_037c_68dd_b2cd,
    0xad5a_4d04_99f1_2d5a,
    0xae05_ab08_dc5e_1a39,
    0xb39e_7555_5cd8_eac3,
    0xb875_d9bf_2461_bf80,
    0xbaaa_a673_cee7_a242,
    0xbc0a_55d4_8524_d775,
    0xbe40_b75a_629f_d2e6,
    0xbea7_0eac_b074_5e89,
    0xc051_37c2_5847_7a68,
    0xc1f1_2d79_9fff_ac47,
    0xc71c_394b_2ea7_8376,
    0xc7fb_5921_5622_cd57,
    0xca46_edd6_c27c_ac5a,
    0xcd9e_96b6_0b94_145e,
    0xd40b_ee6a_af83_bb72,
    0xd604_e108_fb41_87c1,
    0xd6e4_c3b1_2a6c_d2c7,
    0xd8a0_265c_c478_acfa,
    0xdadb_673d_bc0d_bd61,
    0xdf53_0358_e0b2_65c6,
    0xdf99_d1a1_be38_37e8,
    0xe132_59b9_e589_51f5,
    0xe159_6b93_a3c2_3c3d,
    0xea8f_9b99_4468_c3d3,
    0xeab8_86be_6328_9595,
    0xeca4_154e_fc59_4f8e,
    0xef26_2d3e_b1f4_0fd9,
    0xf2f1_3e3f_259f_0bb5,
    0xf324_fc77_3b2b_ddfa,
    0xf4a7_ee70_f382_1725,
    0xf5c0_f43a_e0d3_c313,
    0xf9dc_917a_0e04_2d87,
    0xfb25_b7d4_60f1_79fc,
    0xfbf5_545e_3d2f_2eb3,
    0xfbf7_701c_241b_e7aa,
    0xff76_463f_96ee_a6d9,
    0xffcd_57ec_4bc6_dd95,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_sorted_and_tell_lines_apart() {
        assert!(STOCK.is_sorted());
        assert!(is_stock(
            "-A ufw-before-input  -p icmp --icmp-type echo-request -j ACCEPT "
        ));
        assert!(is_stock("-A ufw6-before-input -i lo -j ACCEPT"));
        assert!(!is_stock(
            "-A ufw-before-input -p icmp --icmp-type echo-request -j DROP"
        ));
        assert!(!is_stock(""));
    }
}
