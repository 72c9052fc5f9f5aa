package interop;

/** The fields that both outcomes have, in the order in which the existing services write them. */
public abstract class Validated extends AbstractEvent {
    /** The validator's own row, not the message's. */
    public Long id;
    public String messageId;
    public String policyInfo;
    public String userContact;
    public String mno;
    public String sendTime;
    public String chatbotId;
    public String description;

    Validated from(Validator row) {
        id = row.id;
        messageId = row.messageId;
        policyInfo = row.policyInfo;
        userContact = row.userContact;
        mno = row.mno;
        sendTime = row.sendTime;
        chatbotId = row.chatbotId;
        description = row.description;
        return this;
    }
}
